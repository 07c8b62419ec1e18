import { execFile } from 'node:child_process';

/** Runs programs of this machine to their end: by argv, never through a shell. */

export interface ProgramOptions {
  /** Besides PATH and HOME, which it always has; nothing else of ours reaches it. */
  env?: Record<string, string>;
  input?: string;
  /** Ended after so long. Default 30. */
  seconds?: number;
  cwd?: string;
}

export interface Ended {
  /** Undefined: it could not be started, was killed, took too long or said too much. */
  exit: number | undefined;
  out: string;
  err: string;
}

/** Never rejects: how it ended is for the caller to judge. */
export async function runProgram(
  program: string,
  args: readonly string[],
  { env, input, seconds = 30, cwd }: ProgramOptions = {},
): Promise<Ended> {
  const { promise, resolve } = Promise.withResolvers<Ended>();
  const options = {
    cwd,
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
    timeout: seconds * 1000,
    // What hangs may not listen to anything milder.
    killSignal: 'SIGKILL' as const,
    maxBuffer: MAX_OUTPUT_BYTES,
  };
  const child = execFile(program, args, options, (error, out, err) => {
    const code = error ? error.code : 0;
    if (typeof code === 'number') resolve({ exit: code, out, err });
    else resolve({ exit: undefined, out, err: err || (error?.message ?? '') });
  });
  // It may end before it has read everything.
  child.stdin?.on('error', () => {});
  child.stdin?.end(input);
  return await promise;
}

// Private

const MAX_OUTPUT_BYTES = 4 * 1024 * 1024;
