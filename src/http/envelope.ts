import type { FrameError } from '../errors.ts';
import { headersOf, statusOf } from './problem.ts';

/** FrameError → the envelope of `/api`: `{ "success": false, "error", "code", "hint"? }`, with the status of its code. */
export function toEnvelope(error: FrameError, challenge?: string): Response {
  const { code, message, hint } = error;
  const body = JSON.stringify({ success: false, error: message, code, hint });
  return new Response(body, {
    status: statusOf(code),
    headers: { 'Content-Type': 'application/json', ...headersOf(error, challenge) },
  });
}
