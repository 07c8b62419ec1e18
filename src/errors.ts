/**
 * One error for everything that may go wrong in front of a caller. `code` is for machines, `message` and `hint` for
 * people, `detail` for our own log only. Three translators turn it into an answer: http/problem.ts, mcp/endpoint.ts and,
 * later, broker/oauth-error.ts. It knows nothing about HTTP or MCP.
 */
export const ERROR_CODES = [
  'access/token-missing',
  'access/token-invalid',
  'access/scope-missing',
  'access/not-admitted',
  'access/right-missing',
  'access/wrong-host',
  'access/wrong-origin',
  'access/credential-in-url',
  'access/credential-twice',
  'args/invalid',
  'args/malformed',
  'args/media-type',
  'args/method',
  'args/no-such-route',
  'args/too-large',
  'args/unknown-tool',
  'table/not-found',
  'table/exists',
  'table/bad-name',
  'table/no-such-column',
  'table/no-such-index',
  'table/column-exists',
  'table/column-protected',
  'row/bad-value',
  'row/check-failed',
  'row/duplicate',
  'row/key-reused',
  'row/missing-value',
  'row/reference-missing',
  'row/sealed-broken',
  'row/still-referenced',
  'row/too-many-matches',
  'sql/failed',
  'sql/refused',
  'sql/syntax',
  'limit/bytes',
  'limit/disk',
  'limit/lock',
  'limit/requests',
  'limit/time',
  'plan/expired',
  'plan/failed',
  'plan/invalid',
  'plan/not-restorable',
  'plan/stale',
  'plan/used',
  'deploy/failed',
  'deploy/gate-failed',
  'deploy/locked',
  'deploy/refused',
  'deploy/reverted',
  'deploy/unreachable',
  'key/no-such-place',
  'internal',
  'outcome-unknown',
  'unavailable',
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

export interface ErrorFacts {
  /** What the caller can do about it, as a sentence. */
  hint?: string;
  /** For our log only: never shown to a caller. */
  detail?: string;
  /** The same call may succeed later without a change. Default false. */
  retryable?: boolean;
  /** Seconds after which trying again makes sense. */
  retryAfterSeconds?: number;
  /** The tool that helps next. */
  nextTool?: string;
  cause?: unknown;
}

export class FrameError extends Error {
  override readonly name = 'FrameError';
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly detail: string | undefined;
  readonly retryable: boolean;
  readonly retryAfterSeconds: number | undefined;
  readonly nextTool: string | undefined;

  constructor(code: ErrorCode, message: string, facts: ErrorFacts = {}) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.code = code;
    this.hint = facts.hint;
    this.detail = facts.detail;
    this.retryable = facts.retryable ?? false;
    this.retryAfterSeconds = facts.retryAfterSeconds;
    this.nextTool = facts.nextTool;
  }

  /** The shape every face shows: `{ code, message, hint?, retryable, next_tool? }`. */
  toPublic(): { code: ErrorCode; message: string; hint?: string; retryable: boolean; next_tool?: string } {
    return {
      code: this.code,
      message: this.message,
      ...(this.hint && { hint: this.hint }),
      retryable: this.retryable,
      ...(this.nextTool && { next_tool: this.nextTool }),
    };
  }
}

/** The database or the keys cannot be reached now; the caller may try again after `retryAfterSeconds` (default 1). */
export function unavailable(message: string, facts: ErrorFacts = {}): FrameError {
  return new FrameError('unavailable', message, { retryable: true, retryAfterSeconds: 1, ...facts });
}

/** Anything that was thrown, as a FrameError: what we did not foresee becomes `internal` and keeps its text in `detail`. */
export function toFrameError(thrown: unknown): FrameError {
  if (thrown instanceof FrameError) return thrown;
  const detail = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
  return new FrameError('internal', 'Something went wrong on our side.', {
    hint: 'Try again; if it stays, tell the operator the request id.',
    detail,
    cause: thrown,
  });
}

/** One mistake in a configuration file or environment variable, where it stands. */
export interface Mistake {
  file: string;
  line?: number;
  column?: number;
  sentence: string;
}

/** Configuration that cannot be used; carries all its mistakes at once. The commands answer it with exit code 2. */
export class WrongConfiguration extends Error {
  override readonly name = 'WrongConfiguration';
  readonly mistakes: readonly Mistake[];

  constructor(mistakes: readonly Mistake[]) {
    super(mistakes.map(formatMistake).join('\n'));
    this.mistakes = mistakes;
  }
}

/** `file:line:column  sentence`, the form editors and terminals can jump to. */
export function formatMistake({ file, line, column, sentence }: Mistake): string {
  return `${[file, line, column].filter(part => part !== undefined).join(':')}  ${sentence}`;
}
