import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { FrameError } from '../errors.ts';

/** Runs a program of the laptop, by its arguments and without a shell. */
export interface ProgramOptions {
  cwd?: string;
  env?: NodeJS.ProcessEnv;
  /** For its standard input, which ends behind it. */
  input?: string | AsyncIterable<Uint8Array>;
  /** It is ended after this. Default 60. */
  timeoutSeconds?: number;
  /** Aborted: the program is ended, and the reason is thrown. */
  signal?: AbortSignal;
  /** Every line of its standard output, when it comes. */
  onLine?(line: string): void;
}

export interface Ended {
  /** Null when a signal ended it. */
  exit: number | null;
  /** What it said; of very much only the end. */
  out: string;
  err: string;
  /** It was ended because its time was over. */
  timedOut: boolean;
}

/** Not installed, or not in PATH. */
export class ProgramMissing extends FrameError {
  constructor(program: string) {
    super('deploy/failed', `The program \`${program}\` is not here.`, {
      hint: 'Install it, or add its folder to PATH.',
    });
  }
}

/**
 * Resolves however it ended: the exit code is for the caller to judge.
 * @throws ProgramMissing; whatever reading `input` throws; the reason of `signal`
 */
export async function runProgram(
  program: string,
  args: readonly string[],
  { cwd, env, input = '', timeoutSeconds = 60, signal, onLine }: ProgramOptions = {},
): Promise<Ended> {
  signal?.throwIfAborted();
  if (cwd !== undefined && !existsSync(cwd)) throw new FrameError('deploy/failed', `There is no folder ${cwd}.`);
  const child = spawn(program, args, { cwd, env, stdio: ['pipe', 'pipe', 'pipe'] });
  const ended = waitForEnd(child, program, env ?? process.env);
  const out = listen(child.stdout, onLine);
  const err = listen(child.stderr);

  let stopped: 'time' | 'signal' | undefined;
  const stop = (why: 'time' | 'signal') => {
    stopped ??= why;
    end(child);
  };
  const onAbort = () => stop('signal');
  signal?.addEventListener('abort', onAbort);
  const timer = setTimeout(stop, timeoutSeconds * 1000, 'time');
  try {
    const [exit, fault] = await Promise.all([ended, feed(child, input)]);
    if (stopped === 'signal') throw signal?.reason;
    if (fault && stopped === undefined) throw fault.thrown;
    return { exit, out: out(), err: err(), timedOut: stopped === 'time' };
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  }
}

/** The end of what a program complained about, for a sentence of ours: at most so many lines. */
export function lastLines(text: string, most = 1): string {
  const lines = text.split('\n').map(line => line.trim());
  return lines.filter(Boolean).slice(-most).join('\n');
}

// Private

function waitForEnd(
  child: ChildProcessWithoutNullStreams,
  program: string,
  env: NodeJS.ProcessEnv,
): Promise<number | null> {
  return new Promise((resolve, reject) => {
    child.once('error', error => {
      reject(isMissing(error, program, env) ? new ProgramMissing(program) : error);
    });
    child.once('close', resolve);
    child.once('exit', () => {
      // What it started may hold its output open. What it said itself has been read by the turn after next.
      setTimeout(() => setImmediate(() => child.stdout.destroy() && child.stderr.destroy()), LINGER_MS).unref();
    });
  });
}

/** A folder of PATH that one may not look into makes EACCES of ENOENT. */
function isMissing({ code }: NodeJS.ErrnoException, program: string, { PATH = '' }: NodeJS.ProcessEnv): boolean {
  if (code !== 'EACCES' || program.includes('/')) return code === 'ENOENT';
  return !PATH.split(delimiter).some(folder => existsSync(join(folder, program)));
}

function end(child: ChildProcessWithoutNullStreams): void {
  child.kill('SIGTERM');
  setTimeout(() => child.kill('SIGKILL'), KILL_AFTER_MS).unref();
}

function listen(stream: Readable, onLine?: (line: string) => void): () => string {
  let text = '';
  let line = '';
  stream.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
    if (text.length > 2 * KEPT_LETTERS) text = text.slice(-KEPT_LETTERS);
    if (!onLine) return;
    const lines = (line + chunk).split('\n');
    line = lines.pop() ?? '';
    for (const whole of lines) onLine(whole);
  });
  stream.once('end', () => {
    if (line) onLine?.(line);
  });
  return () => text;
}

/** A program may end before it has read everything: its exit code tells. A source that fails is our own fault. */
async function feed(
  child: ChildProcessWithoutNullStreams,
  input: string | AsyncIterable<Uint8Array>,
): Promise<{ thrown: unknown } | undefined> {
  let fault: { thrown: unknown } | undefined;
  child.stdin.on('error', () => {});
  const source = typeof input === 'string' ? [Buffer.from(input)] : input;
  const guarded = guard(source, thrown => {
    // Killed, so that it cannot take the half that it got for the whole; one that has ended did not fail because of us.
    if (child.kill('SIGKILL')) fault = { thrown };
  });
  await pipeline(Readable.from(guarded), child.stdin).catch(() => {});
  return fault;
}

/** Tells what the source throws from what is thrown at it because nobody reads any more. */
async function* guard<T>(source: Iterable<T> | AsyncIterable<T>, onFault: (thrown: unknown) => void): AsyncIterable<T> {
  let isOurs = false;
  try {
    for await (const chunk of source) {
      isOurs = true;
      yield chunk;
      isOurs = false;
    }
  } catch (thrown) {
    if (!isOurs) onFault(thrown);
  }
}

const LINGER_MS = 500;
const KILL_AFTER_MS = 2_000;
const KEPT_LETTERS = 4_000_000;
