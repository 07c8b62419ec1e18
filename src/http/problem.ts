import { STATUS_CODES } from 'node:http';
import type { ErrorCode, FrameError } from '../errors.ts';

/**
 * FrameError → RFC 9457 problem JSON. One of the three translators; the status of every code stands in the switch below.
 * `challenge` is the value of WWW-Authenticate where the answer must carry one (access/discovery.ts).
 */
export function toProblem(error: FrameError, requestId: string, challenge?: string): Response {
  const status = statusOf(error.code);
  const { message, code, hint } = error;
  const body = { type: `urn:frame:error:${code}`, title: STATUS_CODES[status], status, detail: message, code, hint };
  const headers = { 'Content-Type': 'application/problem+json', ...headersOf(error, challenge) };
  return new Response(JSON.stringify({ ...body, request_id: requestId }), { status, headers });
}

/** What an answer with this error must carry, whatever its body. */
export function headersOf({ code, retryAfterSeconds = 1 }: FrameError, challenge?: string): Record<string, string> {
  const status = statusOf(code);
  return {
    ...(challenge && { 'WWW-Authenticate': challenge }),
    ...((status === 503 || status === 429) && { 'Retry-After': String(retryAfterSeconds) }),
    // The rest of the body may still be on its way: it must not be read as the next request.
    ...(status === 413 && { Connection: 'close' }),
  };
}

export function statusOf(code: ErrorCode): number {
  switch (code) {
    case 'access/token-missing':
    case 'access/token-invalid':
      return 401;
    case 'access/scope-missing':
    case 'access/not-admitted':
    case 'access/right-missing':
    case 'access/wrong-host':
    case 'access/wrong-origin':
      return 403;
    case 'args/method':
      return 405;
    case 'args/no-such-route':
    case 'args/unknown-tool':
    case 'table/not-found':
      return 404;
    case 'args/too-large':
      return 413;
    case 'args/media-type':
      return 415;
    case 'limit/requests':
      return 429;
    case 'access/credential-in-url':
    case 'access/credential-twice':
    case 'args/invalid':
    case 'args/malformed':
    case 'limit/bytes':
    case 'limit/time':
    case 'plan/invalid':
    case 'plan/not-restorable':
    case 'row/bad-value':
    case 'row/check-failed':
    case 'row/missing-value':
    case 'row/reference-missing':
    case 'row/too-many-matches':
    case 'sql/failed':
    case 'sql/refused':
    case 'sql/syntax':
    case 'table/bad-name':
    case 'table/column-protected':
    case 'table/no-such-column':
    case 'table/no-such-index':
      return 400;
    case 'limit/lock':
    case 'plan/expired':
    case 'plan/failed':
    case 'plan/stale':
    case 'plan/used':
    case 'row/duplicate':
    case 'row/key-reused':
    case 'row/still-referenced':
    case 'table/column-exists':
    case 'table/exists':
      return 409;
    case 'limit/disk':
      return 507;
    // Only commands throw these.
    case 'deploy/failed':
    case 'deploy/gate-failed':
    case 'deploy/locked':
    case 'deploy/refused':
    case 'deploy/reverted':
    case 'deploy/unreachable':
    case 'key/no-such-place':
    case 'internal':
    case 'outcome-unknown':
    case 'row/sealed-broken':
      return 500;
    case 'unavailable':
      return 503;
  }
}
