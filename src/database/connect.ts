import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import postgres from 'postgres';
import { createDriver, type DriverOptions, EXTENDED_PROTOCOL, toText } from './driver.ts';
import { ConnectionLost, createLifeline, NoAnswer } from './lifeline.ts';
import { openSocket, type ServerAddress } from './socket.ts';

/** Text, numbers, booleans, null, in the order of `$1`, `$2` …; Postgres infers the types (cast in SQL: `$1::uuid`). */
export type Params = readonly unknown[];

export interface Result {
  columns: readonly string[];
  /** bool → boolean; int2, int4 and floats → number; everything else is the text that Postgres sent. */
  rows: unknown[][];
  /** Rows returned or changed. */
  count: number;
}

/** Rows with the types that the server names. */
export interface Fields {
  fields: readonly Field[];
  rows: readonly (readonly unknown[])[];
}

export interface Field {
  name: string;
  /** Its oid in pg_type. */
  type: number;
}

export interface ConnectOptions extends DriverOptions {
  limits: ConnectionLimits;
}

export interface ConnectionLimits {
  /** From the first packet to the first answer. */
  connectMs: number;
  /** What an answer may take beyond the login's own statement_timeout before the connection counts as dead. */
  graceMs: number;
  /** What an answer may take when the login has no statement_timeout; 0 waits for ever. */
  queryMs: number;
  /** Of one answer. */
  maxAnswerBytes: number;
}

/**
 * One session of one Postgres backend. It never reconnects by itself: what waits when it is lost, and every later
 * query, is rejected with ConnectionLost. Errors of Postgres come as postgres.PostgresError.
 */
export interface Connection {
  /** One statement, extended protocol. */
  query(text: string, params?: Params, prepare?: boolean): Promise<Result & { command: string }>;
  /** One statement without a name; of its rows none is made after the first `maxRows`. Without an answer it `lingers`. */
  read(text: string, maxRows: number): Promise<Fields>;
  /** Several statements, simple protocol: never for text that a caller wrote. */
  script(text: string): Promise<void>;
  /** COPY … FROM STDIN in Postgres's text format, at the pace of the server. */
  copyIn(text: string, rows: AsyncIterable<string>): Promise<void>;
  /** Asks the server to stop what runs now; without an answer the connection is destroyed. */
  cancel(): void;
  /** Nobody may use it after this one: whatever happened to it, it is closed when it is given back. */
  spoil(): void;
  /** Must not be used again: it is lost or spoilt, or a late cancel might hit the next statement. */
  readonly broken: boolean;
  /** Broken, and the server is still at a statement that it does not stop; closing it would hide that. */
  readonly lingers: boolean;
  /** Resolves, with the reason, when the connection is gone. */
  readonly closed: Promise<string>;
  close(): Promise<void>;
}

/** Rejects with ConnectionLost, whatever the reason: refused, wrong password, too many connections, too slow. */
export async function openConnection(options: ConnectOptions): Promise<Connection> {
  const { address, limits } = options;
  const opening = new AbortController();
  const tooLate = () => opening.abort(new ConnectionLost(`no connection within ${limits.connectMs} ms`));
  const timer = setTimeout(tooLate, limits.connectMs);
  try {
    const socket = await openSocket(address, opening.signal);
    return await openSession(socket, options);
  } catch (thrown) {
    const loss = lossOf(opening.signal.aborted ? opening.signal.reason : thrown);
    opening.abort();
    throw loss;
  } finally {
    clearTimeout(timer);
  }
}

// Private

async function openSession(socket: Socket, options: ConnectOptions): Promise<Connection> {
  const { address, limits } = options;
  const line = createLifeline(socket, limits.maxAnswerBytes);
  const sql = createDriver(socket, options);
  let spoilt = false;
  let isReading = false;

  const run = (text: string, params: Params = [], prepare = true) => {
    const values = params.map(toText);
    return line.hold(() => sql.unsafe(text, values, { prepare, ...EXTENDED_PROTOCOL }).values());
  };

  // Also the first query that `fetch_types: false` needs before anything else works.
  const shown = await run('show statement_timeout', [], false);
  const onServer = toMilliseconds(String(shown[0]?.[0]));
  line.allow(onServer > 0 ? onServer + limits.graceMs : limits.queryMs);

  const loseSoon = (reason: string) => {
    setTimeout(() => line.lose(new ConnectionLost(reason)), limits.graceMs).unref();
  };

  const leaveSoon = (reason: string) => {
    setTimeout(() => line.leave(new NoAnswer(reason)), limits.graceMs).unref();
  };

  return {
    async query(text, params, prepare) {
      const result = await run(text, params, prepare).catch(rethrow);
      return {
        columns: result.columns?.map(({ name }) => String(name)) ?? [],
        rows: Array.from(result),
        count: result.count ?? 0,
        command: result.command,
      };
    },
    async read(text, maxRows) {
      const query = sql.unsafe(text, [], { prepare: false, ...EXTENDED_PROTOCOL });
      query.values();
      isReading = true;
      // The portal stops at the row, whatever the text says: nothing has to be written into the text for that.
      const result = await line
        .hold(() => query.cursor(maxRows, () => sql.CLOSE), line.leave)
        .catch(rethrow)
        .finally(() => {
          isReading = false;
        });
      if (!Array.isArray(result)) throw refuseCopy(result);
      const fields = result.columns?.map(({ name, type }) => ({ name: String(name), type })) ?? [];
      return { fields, rows: Array.from(result) };
    },
    async script(text) {
      await line.hold(() => sql.unsafe(text).simple()).catch(rethrow);
    },
    async copyIn(text, rows) {
      const copy = sql.unsafe(text);
      const sink = await line.hold(() => copy.writable()).catch(rethrow);
      // The last rows may be refused after the stream ended: postgres.js then rejects a promise that is settled, and the
      // stream never finishes.
      const { promise: refused, reject } = Promise.withResolvers<never>();
      Object.assign(copy, { reject });
      await line.hold(() => Promise.race([pipeline(Readable.from(rows), sink), refused])).catch(rethrow);
    },
    cancel() {
      if (spoilt || line.lost) return;
      spoilt = true;
      if (isReading) leaveSoon(UNHEARD);
      else loseSoon(UNHEARD);
      sendCancel(address, shown.state, limits.connectMs).catch(thrown => line.lose(lossOf(thrown)));
    },
    spoil() {
      spoilt = true;
    },
    get broken() {
      return spoilt || line.lost;
    },
    get lingers() {
      return line.lingers;
    },
    closed: line.closed,
    async close() {
      if (!line.lost) socket.write(TERMINATE);
      socket.destroySoon();
      loseSoon('closed');
      await line.closed;
    },
  };
}

/** COPY answers with a stream, and one that fails unheard ends the process. */
function refuseCopy(stream: Readable): Error {
  stream.on('error', () => {});
  return new Error('The statement answers with no rows.');
}

const UNHEARD = 'no answer to a cancel';
const TERMINATE = Buffer.from([88, 0, 0, 0, 4]);

async function sendCancel(
  address: ServerAddress,
  { pid, secret }: postgres.State,
  milliseconds: number,
): Promise<void> {
  const socket = await openSocket(address, AbortSignal.timeout(milliseconds));
  const request = Buffer.alloc(16);
  [16, 80877102, pid, secret].forEach((word, index) => {
    request.writeUInt32BE(word, index * 4);
  });
  socket.end(request);
}

/** Postgres prints settings of time with a unit: `10s`, `1500ms`, `0`. */
function toMilliseconds(setting: string): number {
  const unit = setting.replace(/^\d+/, '');
  const factor = { ms: 1, s: 1000, min: 60_000, h: 3_600_000, d: 86_400_000 }[unit] ?? 0;
  return Number.parseInt(setting, 10) * factor;
}

/** FATAL ends the session: the server shuts down, or an administrator or a timeout ended it. */
function rethrow(thrown: unknown): never {
  const fatal = thrown instanceof postgres.PostgresError && thrown.severity !== 'ERROR';
  throw fatal ? lossOf(thrown) : thrown;
}

function lossOf(thrown: unknown): ConnectionLost {
  if (thrown instanceof ConnectionLost) return thrown;
  const { code, message } =
    thrown instanceof Error && 'code' in thrown ? thrown : { code: '', message: String(thrown) };
  return new ConnectionLost(`${code} ${message}`.trim(), thrown);
}
