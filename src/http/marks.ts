import { randomUUID } from 'node:crypto';

/** What every answer carries, whoever gives it: the release, the slot, the id of the request. */
export type Marks = (requestId: string) => Record<string, string>;

export function createMarks({ release, slot }: { release: string; slot?: string }): Marks {
  return requestId => ({
    'X-Frame-Release': release,
    ...(slot && { 'X-Frame-Slot': slot }),
    'X-Request-Id': requestId,
    'X-Content-Type-Options': 'nosniff',
  });
}

/** The sender's own id when it can do no harm in a log line or a header, else a new one. */
export function requestIdOf(sent: string | null): string {
  return sent !== null && /^[A-Za-z0-9._-]{1,64}$/.test(sent) ? sent : randomUUID();
}
