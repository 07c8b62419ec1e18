import { type ErrorCode, toFrameError } from '../errors.ts';

/**
 * What the OAuth endpoints answer when they refuse. FrameError → OAuthError is one of the three translators. Clients act
 * on the code: `invalid_client` makes them forget their registration, `invalid_grant` their tokens.
 */
const STATUS = {
  // RFC 6749 §5.2
  invalid_request: 400,
  invalid_client: 400,
  invalid_grant: 400,
  unauthorized_client: 400,
  unsupported_grant_type: 400,
  invalid_scope: 400,
  // RFC 6749 §4.1.2.1
  access_denied: 403,
  unsupported_response_type: 400,
  server_error: 500,
  temporarily_unavailable: 503,
  // RFC 8707 §2
  invalid_target: 400,
  // RFC 7009 §2.2.1
  unsupported_token_type: 400,
  // RFC 7591 §3.2.2
  invalid_redirect_uri: 400,
  invalid_client_metadata: 400,
} as const;

export type OAuthErrorCode = keyof typeof STATUS;

export interface OAuthErrorFacts {
  /** When another status says more than that of the code. */
  status?: number;
  /** Of `invalid_client`: it came with HTTP Basic, so it is answered with a challenge for that (RFC 6749 §5.2). */
  usedBasic?: boolean;
  /** Seconds after which trying again makes sense; default 1 with 429 and 503. */
  retryAfterSeconds?: number | undefined;
  /** For our log only: never shown to a caller. */
  detail?: string | undefined;
  cause?: unknown;
}

/** `message` is public: a sentence for whoever builds the client, without anything that was sent. */
export class OAuthError extends Error {
  override readonly name = 'OAuthError';
  readonly code: OAuthErrorCode;
  readonly status: number;
  readonly usedBasic: boolean;
  readonly retryAfterSeconds: number;
  readonly detail: string | undefined;

  constructor(code: OAuthErrorCode, message: string, facts: OAuthErrorFacts = {}) {
    super(toDescription(message), facts.cause === undefined ? undefined : { cause: facts.cause });
    this.code = code;
    this.usedBasic = code === 'invalid_client' && facts.usedBasic === true;
    this.status = facts.status ?? (this.usedBasic ? 401 : STATUS[code]);
    this.retryAfterSeconds = facts.retryAfterSeconds ?? 1;
    this.detail = facts.detail;
  }
}

/** Anything that was thrown, in the words of OAuth. */
export function toOAuthError(thrown: unknown): OAuthError {
  if (thrown instanceof OAuthError) return thrown;
  const error = toFrameError(thrown);
  const { code, status } = translate(error.code);
  const { message, detail, retryAfterSeconds } = error;
  return new OAuthError(code, message, { status, detail, retryAfterSeconds, cause: thrown });
}

/** RFC 6749 §5.2 as JSON, never stored. `error_uri` is left out: there is nothing to read. */
export function toOAuthResponse({ code, message, status, usedBasic, retryAfterSeconds }: OAuthError): Response {
  const headers = {
    'Cache-Control': 'no-store',
    ...(usedBasic && { 'WWW-Authenticate': 'Basic realm="frame"' }),
    ...((status === 429 || status === 503) && { 'Retry-After': String(retryAfterSeconds) }),
    // The rest of the body may still be on its way: it must not be read as the next request.
    ...(status === 413 && { Connection: 'close' }),
  };
  return Response.json({ error: code, error_description: message }, { status, headers });
}

// Private

/** RFC 6749 §5.2: printable ASCII without `"` and `\`. */
function toDescription(message: string): string {
  return message.replaceAll('"', "'").replaceAll(/[^ -[\]-~]/g, '?');
}

function translate(code: ErrorCode): { code: OAuthErrorCode; status?: number } {
  switch (code) {
    case 'access/credential-in-url':
    case 'access/credential-twice':
    case 'args/invalid':
    case 'args/malformed':
      return { code: 'invalid_request' };
    case 'args/no-such-route':
      return { code: 'invalid_request', status: 404 };
    case 'args/method':
      return { code: 'invalid_request', status: 405 };
    case 'args/too-large':
      return { code: 'invalid_request', status: 413 };
    case 'args/media-type':
      return { code: 'invalid_request', status: 415 };
    case 'access/not-admitted':
    case 'access/wrong-host':
    case 'access/wrong-origin':
      return { code: 'access_denied' };
    case 'limit/requests':
      return { code: 'temporarily_unavailable', status: 429 };
    case 'unavailable':
      return { code: 'temporarily_unavailable' };
    case 'outcome-unknown':
    case 'internal':
    // What only tools and commands throw.
    case 'deploy/failed':
    case 'deploy/gate-failed':
    case 'deploy/locked':
    case 'deploy/refused':
    case 'deploy/reverted':
    case 'deploy/unreachable':
    case 'access/token-missing':
    case 'access/token-invalid':
    case 'access/scope-missing':
    case 'access/right-missing':
    case 'args/unknown-tool':
    case 'key/no-such-place':
    case 'table/not-found':
    case 'table/exists':
    case 'table/bad-name':
    case 'table/no-such-column':
    case 'table/no-such-index':
    case 'table/column-exists':
    case 'table/column-protected':
    case 'row/bad-value':
    case 'row/check-failed':
    case 'row/duplicate':
    case 'row/key-reused':
    case 'row/missing-value':
    case 'row/reference-missing':
    case 'row/sealed-broken':
    case 'row/still-referenced':
    case 'row/too-many-matches':
    case 'sql/failed':
    case 'sql/refused':
    case 'sql/syntax':
    case 'limit/bytes':
    case 'limit/disk':
    case 'limit/lock':
    case 'limit/time':
    case 'plan/expired':
    case 'plan/failed':
    case 'plan/invalid':
    case 'plan/not-restorable':
    case 'plan/stale':
    case 'plan/used':
      return { code: 'server_error' };
  }
}
