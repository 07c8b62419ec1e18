import type { Observe } from '../observe.ts';
import { type CheckpointWriter, createCheckpointWriter, type Saying, type WriterParts } from './checkpoint-writer.ts';
import { copyToSecondPlace } from './second-place.ts';
import { hashOf, type SignedLine } from './signed-line.ts';

/**
 * Signed checkpoints of the log, outside the database: what a superuser of Postgres cannot rewrite. A line each time `write`
 * is called, every 1,000 records, and at the end; nobody waits for one, and none that fails stops a call.
 */
export interface Checkpoints {
  /** The first of this process, before it adds anything: written once, whoever asks. Never rejects. */
  begin(): Promise<void>;
  /** Resolves when a checkpoint of all that was committed before is written, or was given up. Never rejects. */
  write(): Promise<void>;
  /** So many records more are in the log. */
  count(records: number): void;
  /** Another signed line among the checkpoints; rejects when it cannot be written. */
  say(saying: Saying): Promise<SignedLine>;
  /** For operators. */
  state(): CheckpointState;
  /** Writes a last one. Never rejects. */
  close(): Promise<void>;
}

export interface CheckpointState {
  /** Of the last line that this process wrote. */
  number: number | null;
  age_seconds: number | null;
  /** Why the last attempt failed. */
  failure: string | null;
  /** `none`, `ok`, or why it has not all of them. */
  second_place: string;
}

export interface CheckpointParts extends WriterParts {
  secondPlace?: string | undefined;
  observe: Observe;
  /** Records after which one is written without being asked for. */
  everyRecords?: number;
}

export function createCheckpoints(parts: CheckpointParts): Checkpoints {
  const { dataFolder, secondPlace, observe, now, everyRecords = 1000 } = parts;
  const writer: CheckpointWriter = createCheckpointWriter(parts);
  let current = Promise.resolve();
  let queued: Promise<void> | undefined;
  let begun: Promise<void> | undefined;
  let copying: Promise<void> | undefined;
  let copyingSince = 0;
  let toCopy: SignedLine | undefined;
  let uncounted = 0;
  let last: SignedLine | undefined;
  let failure: string | null = null;
  let secondFailure: string | null = null;

  async function say(saying: Saying): Promise<SignedLine> {
    const line = await writer.write(saying);
    last = line;
    observe({ kind: 'audit-checkpoint', number: line.number, hash: hashOf(line), signature: line.signature });
    if (secondPlace !== undefined) {
      toCopy = line;
      copying ??= copyTo(secondPlace);
    }
    return line;
  }

  async function run(): Promise<void> {
    uncounted = 0;
    try {
      await say({ kind: 'checkpoint' });
      failure = null;
    } catch (thrown) {
      failure = reasonOf(thrown);
      observe({ kind: 'audit-checkpoint-failed', place: 'first', reason: failure });
    }
  }

  function write(): Promise<void> {
    queued ??= current.then(() => {
      queued = undefined;
      current = run();
      return current;
    });
    return queued;
  }

  /** One at a time: a disk that hangs keeps one waiting, not all. */
  async function copyTo(secondFolder: string): Promise<void> {
    while (toCopy) {
      const line = toCopy;
      toCopy = undefined;
      copyingSince = now();
      try {
        await copyToSecondPlace(dataFolder, secondFolder, line, writer.verifier);
        secondFailure = null;
      } catch (thrown) {
        secondFailure = reasonOf(thrown);
        observe({ kind: 'audit-checkpoint-failed', place: 'second', reason: secondFailure });
      }
    }
    copying = undefined;
  }

  function stateOfSecondPlace(): string {
    if (secondPlace === undefined) return 'none';
    if (copying && now() - copyingSince > HANGING_MS) return 'does not answer';
    return secondFailure ?? 'ok';
  }

  return {
    begin() {
      begun ??= write();
      return begun;
    },
    write,
    count(records) {
      uncounted += records;
      if (uncounted >= everyRecords) void write();
    },
    say,
    state: () => ({
      number: last?.number ?? null,
      age_seconds: last ? Math.round((now() - last.at) / 1000) : null,
      failure,
      second_place: stateOfSecondPlace(),
    }),
    async close() {
      await write();
      await settled(copying, LAST_COPY_MS);
    },
  };
}

// Private

const LAST_COPY_MS = 2000;
const HANGING_MS = 30_000;

function reasonOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** Waits for it, but not for ever. */
async function settled(work: Promise<void> | undefined, milliseconds: number): Promise<void> {
  const late = Promise.withResolvers<void>();
  const timer = setTimeout(late.resolve, milliseconds);
  await Promise.race([work, late.promise]);
  clearTimeout(timer);
}
