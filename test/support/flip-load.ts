import { once } from 'node:events';
import { Agent, type IncomingHttpHeaders, type RequestOptions, request } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';

/**
 * Clients to whom every lost request is lost: each has one connection that it keeps, asks one thing at a time, and never
 * asks again. Beside them, readers of event streams who count.
 */
export interface Load {
  origin: string;
  kinds: readonly Kind[];
  /** Default: 16. */
  connections?: number;
  streams?: { count: number; path: string };
  /** It ends after this, also when nobody stops it. Default: 60. */
  seconds?: number;
}

/** One kind of request in the mix. */
export interface Kind {
  name: string;
  /** How often, compared with the others. */
  share: number;
  next(): Question;
}

export interface Question {
  method: string;
  path: string;
  headers?: Record<string, string>;
  /** Written one after the other; several are sent chunked. */
  body?: readonly Buffer[];
  /** For those who count what became of it. */
  id?: string;
  /** What is wrong with an answer whose status is 200; undefined when nothing is. */
  complain(answer: Answer): string | undefined;
}

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

/** One question and what came of it. Times are of performance.now(). */
export interface Asked {
  kind: string;
  id?: string;
  askedAt: number;
  endedAt: number;
  /** Who answered, as X-Frame-Slot says. */
  slot?: string;
  /** `502`, `ECONNRESET`, what the question complains of; undefined when all was well. */
  failure?: string;
}

/** One event stream. Its events have the ids 1, 2, 3 … */
export interface Stream {
  slot?: string;
  events: number;
  gaps: number;
  /** `finished`: the slot took its leave, with `retry:` as its last word. */
  end: 'open' | 'finished' | 'cut';
}

export interface RunningLoad {
  /** In the order in which they ended. */
  asked: readonly Asked[];
  /** A stream that ends is followed by another one. */
  streams: readonly Stream[];
  /** When those were asked that have no answer yet. */
  waiting(): number[];
  /** Resolves as soon as it is so; rejects when the load has ended without it. */
  until(isSo: () => boolean): Promise<void>;
  /** Asks nothing new; resolves when all that was asked has ended. */
  stop(): Promise<void>;
}

export function startLoad({ origin, kinds, connections = 16, streams, seconds = 60 }: Load): RunningLoad {
  const asked: Asked[] = [];
  const opened: Stream[] = [];
  const waiting = new Set<{ askedAt: number }>();
  const looks = new Set<() => void>();
  const lookAgain = () => {
    for (const look of looks) look();
  };
  const nextKind = createTurns(kinds);
  let isOver = false;
  const hangUp = new AbortController();

  async function keepAsking(): Promise<void> {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    while (!isOver) {
      const kind = nextKind();
      const question = kind.next();
      const turn = { askedAt: performance.now() };
      waiting.add(turn);
      const outcome = await ask(origin, question, agent);
      waiting.delete(turn);
      asked.push({ kind: kind.name, id: question.id, ...turn, endedAt: performance.now(), ...outcome });
      lookAgain();
      if (outcome.failure !== undefined) await pause(AFTER_FAILURE_MS);
    }
    agent.destroy();
  }

  async function keepReading(path: string): Promise<void> {
    while (!isOver) {
      const stream: Stream = { events: 0, gaps: 0, end: 'open' };
      opened.push(stream);
      await read(`${origin}${path}`, stream, hangUp.signal, lookAgain);
      if (!isOver && stream.end === 'open') stream.end = 'cut';
      lookAgain();
      await pause(AFTER_FAILURE_MS);
    }
  }

  const clients = Promise.all(Array.from({ length: connections }, keepAsking));
  const readers = Promise.all(Array.from({ length: streams?.count ?? 0 }, () => keepReading(streams?.path ?? '/')));
  async function stop(): Promise<void> {
    isOver = true;
    clearTimeout(limit);
    await clients;
    hangUp.abort();
    await readers;
    lookAgain();
  }
  const limit = setTimeout(stop, seconds * 1000);

  return {
    asked,
    streams: opened,
    waiting: () => [...waiting].map(({ askedAt }) => askedAt),
    async until(isSo) {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const look = () => {
        if (isSo()) resolve();
        else if (isOver) reject(new Error(`The load has ended, and it is not so: ${isSo}`));
      };
      looks.add(look);
      // When nothing is answered, nobody else looks.
      const timer = setInterval(look, LOOK_MS);
      look();
      await promise.finally(() => {
        clearInterval(timer);
        looks.delete(look);
      });
    },
    stop,
  };
}

/** Kind and failure → how often. */
export function failuresOf(asked: readonly Asked[]): Record<string, number> {
  const failed = asked.filter(({ failure }) => failure !== undefined);
  const named = Object.groupBy(failed, ({ kind, failure }) => `${kind} ${failure}`);
  return Object.fromEntries(Object.entries(named).map(([name, all = []]) => [name, all.length]));
}

/** Milliseconds; NaN of nothing. */
export function latencyOf(asked: readonly Asked[]): { p50: number; p99: number; max: number } {
  const sorted = asked.map(({ askedAt, endedAt }) => endedAt - askedAt).sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
  return { p50: at(0.5), p99: at(0.99), max: at(1) };
}

// Private

/** Longer than Caddy tries to reach a slot. */
const PATIENCE_MS = 30_000;
/** What fails at once would let nothing else happen in this process. */
const AFTER_FAILURE_MS = 5;
/** Long enough for the parts of a body to travel apart. */
const BETWEEN_PARTS_MS = 10;
const LOOK_MS = 50;

/** Each kind as often as it should have come by then: every load has the same mix. */
function createTurns(kinds: readonly Kind[]): () => Kind {
  const total = kinds.reduce((sum, { share }) => sum + share, 0);
  const owed = new Map(kinds.map(kind => [kind, 0]));
  return () => {
    for (const [kind, due] of owed) owed.set(kind, due + kind.share / total);
    const [[next, due] = []] = [...owed].sort(([, a], [, b]) => b - a);
    if (!next || due === undefined) throw new Error('A load needs at least one kind of request.');
    owed.set(next, due - 1);
    return next;
  };
}

async function ask(origin: string, question: Question, agent: Agent): Promise<Pick<Asked, 'slot' | 'failure'>> {
  try {
    const answer = await exchange(`${origin}${question.path}`, question, agent);
    const failure = answer.status === 200 ? question.complain(answer) : `${answer.status}`;
    return { slot: slotOf(answer.headers), failure };
  } catch (thrown) {
    return { failure: thrown instanceof Error && 'code' in thrown ? String(thrown.code) : String(thrown) };
  }
}

async function exchange(url: string, { method, headers, body = [] }: Question, agent: Agent): Promise<Answer> {
  const [asked, answering] = open(url, { method, headers, agent, signal: AbortSignal.timeout(PATIENCE_MS) });
  for (const part of body.slice(0, -1)) {
    asked.write(part);
    await pause(BETWEEN_PARTS_MS);
  }
  asked.end(body.at(-1));
  const [response] = await answering;
  return { status: response.statusCode, headers: response.headers, body: await buffer(response) };
}

async function read(url: string, stream: Stream, signal: AbortSignal, notice: () => void): Promise<void> {
  const [asked, answering] = open(url, { agent: false, signal });
  asked.end();
  try {
    const [response] = await answering;
    stream.slot = slotOf(response.headers);
    let rest = '';
    for await (const text of response.setEncoding('utf8')) {
      const events = `${rest}${text}`.split('\n\n');
      rest = events.pop() ?? '';
      for (const event of events) take(event, stream);
      notice();
    }
  } catch {
    // How it ended says `end`.
  }
}

function take(event: string, stream: Stream): void {
  const id = /^id: ?(\d+)$/m.exec(event)?.[1];
  if (id !== undefined) {
    stream.events += 1;
    if (Number(id) !== stream.events + stream.gaps) stream.gaps = Number(id) - stream.events;
  }
  if (/^retry:/m.test(event)) stream.end = 'finished';
}

/** The answer may be there, or never come, before anybody waits for it. */
function open(url: string, options: RequestOptions) {
  const asked = request(url, options);
  asked.on('error', () => {});
  const answering = once(asked, 'response');
  answering.catch(() => {});
  return [asked, answering] as const;
}

function slotOf(headers: IncomingHttpHeaders): string | undefined {
  return headers['x-frame-slot']?.toString();
}
