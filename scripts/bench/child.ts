import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, open, readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pass } from 'node:timers/promises';
import type { Asking } from './load.ts';

/** A server under load: a process of its own, which is stopped by its id. */
export interface Child extends AsyncDisposable {
  pid: number;
}

export interface ChildOptions {
  program: string;
  args: readonly string[];
  env?: Record<string, string>;
  /** Its log goes into a folder of its own here. */
  folder: string;
}

/** Resolves to the child when it has given one good answer; rejects with the end of its log when it does not. */
export async function startChild({ program, args, env, folder }: ChildOptions, asking: Asking): Promise<Child> {
  const logFile = join(await mkdtemp(join(folder, 'log-')), 'log');
  const log = await open(logFile, 'a');
  // Nothing of the environment of whoever runs the bench, so that a stray FRAME_… changes no figure.
  const child = spawn(program, args, {
    cwd: folder,
    env: { PATH: process.env.PATH, HOME: folder, ...env },
    stdio: ['ignore', log.fd, log.fd],
  });
  // However this process ends, the child ends with it.
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  child.once('exit', () => process.off('exit', kill));
  await log.close();
  const gone = new AbortController();
  child.once('error', error => gone.abort(error));
  child.once('exit', code => gone.abort(new Error(`it ended with exit code ${code}`)));
  try {
    await firstGoodAnswer(asking, AbortSignal.any([gone.signal, AbortSignal.timeout(START_MS)]));
  } catch (thrown) {
    await stop(child);
    const end = (await readFile(logFile, 'utf8')).slice(-LOG_END);
    throw new Error(`${program} did not start: ${thrown}\n${end}`, { cause: thrown });
  }
  return { pid: child.pid ?? 0, [Symbol.asyncDispose]: () => stop(child) };
}

/** Runs to its end and resolves with what it printed; rejects with what it said when that is not exit code 0. */
export async function runToEnd(
  program: string,
  args: readonly string[],
  cwd: string,
  env = process.env,
): Promise<string> {
  const child = spawn(program, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  let printed = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', text => (said += text));
  child.stdout.on('data', text => (printed += text));
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`${program} ${args[0]} ended with exit code ${code}: ${said.slice(-LOG_END)}`);
  return printed;
}

export async function findFreePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  await once(probe, 'close');
  return typeof address === 'object' && address ? address.port : 0;
}

// Private

const START_MS = 30_000;
const POLL_MS = 5;
const STOP_MS = 10_000;
const LOG_END = 2000;

async function firstGoodAnswer({ url, headers, next }: Asking, signal: AbortSignal): Promise<void> {
  let complaint = '';
  for (;;) {
    if (signal.aborted) throw new Error(`${signal.reason}${complaint && `; the last answer was ${complaint}`}`);
    const { body, expect } = next();
    const response = await fetch(url, { method: 'POST', headers: headers[0], body, signal }).catch(() => undefined);
    const text = (await response?.text().catch(() => '')) ?? '';
    if (response?.status === 200 && text.includes(expect)) return;
    if (response) complaint = `${response.status} ${text.slice(0, 300)}`;
    await pass(POLL_MS);
  }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  const patience = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
  await exited;
  clearTimeout(patience);
}
