import { type Login, loginOf, type Place } from '../database/place.ts';
import type { Pools, Session } from '../database/pools.ts';
import { FrameError } from '../errors.ts';
import { digestArguments } from './cursor.ts';
import { lostRace } from './explain.ts';
import { quoteQualified } from './quote.ts';

/**
 * How rows are changed: as the place's write login, all or nothing. A dry run does everything and takes it back. With an
 * idempotency key the answer is kept in the same transaction as the change, so that a repeated call gets the same answer
 * and changes nothing more, even when the first answer was lost on its way.
 */
export interface WriteRequest {
  place: Place;
  /** Tenant id and object id: a key belongs to its caller. */
  callerKey: string;
  tool: string;
  /** All that the answer depends on; a key that comes back with others is refused. */
  arguments: Record<string, unknown>;
  idempotencyKey?: string | undefined;
  dryRun?: boolean | undefined;
  /** Where columns are sealed: what is kept must say nothing of what is in them. */
  concealment?: Concealment | undefined;
  /** One statement needs no transaction around it. */
  isSingleStatement?: boolean;
  signal: AbortSignal;
}

/** How a call is kept without what it is about. */
export interface Concealment {
  /** Arguments can be guessed, and a digest that everybody can make would tell when a guess is right. */
  digest(text: string): string;
  conceal(answer: Answer): Answer;
}

export type Answer = Record<string, unknown>;

/** `work` may run twice, but only when the first run changed nothing. Postgres errors come through as they are. */
export async function write(pools: Pools, request: WriteRequest, work: Work): Promise<Answer> {
  return attempt(pools, request, work).catch(thrown => {
    // Somebody had to give way and was rolled back; now the way is free.
    if (lostRace(thrown)) return attempt(pools, request, work);
    throw thrown;
  });
}

// Private

type Work = (session: Session) => Promise<Answer>;

function attempt(pools: Pools, request: WriteRequest, work: Work): Promise<Answer> {
  const login = loginOf(request.place, 'rw');
  const { idempotencyKey, dryRun, isSingleStatement, signal } = request;
  if (dryRun) return rehearse(pools, request, work);
  if (idempotencyKey !== undefined) return writeOnce(pools, { ...request, idempotencyKey }, work);
  if (!isSingleStatement) return pools.transaction(login, work, { signal });
  return work(statementsAlone(pools, login, signal));
}

type KeyedRequest = WriteRequest & { idempotencyKey: string };

/** Each statement is a transaction of its own. */
function statementsAlone(pools: Pools, login: Login, signal?: AbortSignal): Session {
  return { query: (text, params, options) => pools.query(login, text, params, { signal, ...options }) };
}

/** Takes everything back on the way out; only its own answer comes through. */
class TakenBack extends Error {
  readonly answer: Answer;
  constructor(answer: Answer) {
    super('taken back');
    this.answer = answer;
  }
}

async function rehearse(pools: Pools, { place, signal }: WriteRequest, work: Work): Promise<Answer> {
  const rehearsal = async (session: Session) => {
    throw new TakenBack(await work(session));
  };
  return pools.transaction<Answer>(loginOf(place, 'rw'), rehearsal, { signal }).catch(thrown => {
    if (thrown instanceof TakenBack) return { ...thrown.answer, dry_run: true };
    throw thrown;
  });
}

async function writeOnce(pools: Pools, request: KeyedRequest, work: Work): Promise<Answer> {
  const login = loginOf(request.place, 'rw');
  const workOnce = async (session: Session) => {
    const earlier = await findAnswer(session, request);
    if (earlier) return earlier;
    const answer = await work(session);
    await keepAnswer(session, request, answer);
    return answer;
  };
  return pools.transaction(login, workOnce, { signal: request.signal }).catch(async thrown => {
    // The same call may have been faster: by now its change stands in the way of ours, or its answer does. Or ours was
    // committed and only the word of it was lost. In each case the kept answer is the true one.
    const kept = await findAnswer(statementsAlone(pools, login), request).catch(onlyKeyReused);
    if (kept) return kept;
    throw thrown;
  });
}

async function findAnswer(session: Session, request: KeyedRequest): Promise<Answer | undefined> {
  const { rows } = await session.query(
    `select digest, answer::text from ${requestsOf(request.place)} where caller = $1::text and key = $2::text`,
    [request.callerKey, request.idempotencyKey],
  );
  const [digest, answer] = rows[0] ?? [];
  if (digest === undefined) return undefined;
  if (digest === digestOf(request)) return { ...JSON.parse(String(answer)), replayed: true };
  throw new FrameError('row/key-reused', 'This `idempotency_key` was used for another call.', {
    hint: 'Use a new key for a new change; nothing was changed now.',
  });
}

function onlyKeyReused(thrown: unknown): undefined {
  if (thrown instanceof FrameError && thrown.code === 'row/key-reused') throw thrown;
}

async function keepAnswer(session: Session, request: KeyedRequest, answer: Answer): Promise<void> {
  const { place, callerKey, idempotencyKey, concealment } = request;
  const kept = concealment ? concealment.conceal(answer) : answer;
  await session.query(
    `insert into ${requestsOf(place)} (caller, key, digest, answer) values ($1::text, $2::text, $3::text, $4::text::jsonb)`,
    [callerKey, idempotencyKey, digestOf(request), JSON.stringify(kept)],
  );
}

function requestsOf({ schema }: Place): string {
  return quoteQualified(schema, '_requests');
}

function digestOf({ tool, arguments: args, concealment }: WriteRequest): string {
  const digest = digestArguments({ tool, ...args });
  return concealment ? concealment.digest(digest) : digest;
}
