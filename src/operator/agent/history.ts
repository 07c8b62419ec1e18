import { appendLine, readIfThere } from './durable.ts';
import type { HistoryLine } from './protocol.ts';
import { readWritten } from './written.ts';

/** One line per verb, never rewritten. */
export async function appendHistory(file: string, line: HistoryLine): Promise<void> {
  const before = (await readIfThere(file)) ?? '';
  const isTorn = before !== '' && !before.endsWith('\n');
  await appendLine(file, `${isTorn ? '\n' : ''}${JSON.stringify(line)}`);
}

/** The newest last. A line that was cut off by a power failure is passed over. */
export async function readHistory(file: string): Promise<HistoryLine[]> {
  const text = (await readIfThere(file)) ?? '';
  return text.split('\n').flatMap(line => readWritten<HistoryLine>(line, SHAPE) ?? []);
}

/** The release that served before this one did: by the order of events, so that a second step back is a step forward. */
export function previousOf(history: readonly HistoryLine[], live: string): string | undefined {
  // Who was refused the lock saw what somebody else's verb had just brought, and may have taken back.
  const moved = history.filter(({ result }) => result !== 'refused');
  const served = moved.flatMap(line => [line.from, servedAfter(line)]).filter(id => id !== undefined);
  return served.slice(0, served.lastIndexOf(live) + 1).findLast(id => id !== live);
}

/** Every release that was ever brought here by a verb, the latest last. */
export function inOrderOfUse(history: readonly HistoryLine[]): string[] {
  const latest = new Map<string, number>();
  for (const [index, { from, to }] of history.entries()) {
    if (from) latest.set(from, index);
    if (to) latest.set(to, index + 0.5);
  }
  return [...latest].sort(([, one], [, other]) => one - other).map(([release]) => release);
}

// Private

const SHAPE = { at: 'string', by: 'string', verb: 'string', result: 'string', ms: 'number' } as const;

function servedAfter({ live, to, result }: HistoryLine): string | undefined {
  return live ?? (result === 'ok' ? to : undefined);
}
