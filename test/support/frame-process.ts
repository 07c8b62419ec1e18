import { type ChildProcess, spawn } from 'node:child_process';
import { cp, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inject } from 'vitest';
import { isAlive } from '../../src/database/embedded-process.ts';
import { makeDataFolder, removeDataFolder } from './data-folder.ts';
import { copyCluster } from './postgres.ts';

/** The `frame` command as an operator meets it: real processes in a folder of their own. */
export interface FrameHome extends AsyncDisposable {
  /** The working folder: customers.yaml and config/ are in it. */
  folder: string;
  /** FRAME_DATA, with an embedded cluster at rest. */
  data: string;
  /** Replaces customers.yaml, in one piece as an editor does. */
  writeCustomers(text: string): Promise<void>;
  writeFile(name: string, content: string | Buffer, mode?: number): Promise<string>;
  /** Runs a command to its end. */
  run(args: readonly string[], options?: RunOptions): Promise<Finished>;
  start(args: readonly string[], options?: RunOptions): FrameProcess;
  /** `frame serve` on a free port, once it has said that it started. */
  serve(options?: RunOptions): Promise<Serving>;
  /** Everything that any process of this home has printed. */
  printed(): string;
  remove(): Promise<void>;
}

export interface RunOptions {
  env?: Record<string, string | undefined>;
  input?: string | Buffer;
}

export interface Finished {
  exit: number | null;
  out: string;
  err: string;
}

export interface FrameProcess {
  pid: number;
  /** Of both streams, so far. */
  output(): string;
  /** The first match behind `from`; rejects when the process ends without it. */
  until(pattern: RegExp, from?: number): Promise<string>;
  finished: Promise<Finished>;
  /** Resolves to the exit code. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

export { freePorts } from './free-ports.ts';

export interface Serving extends FrameProcess {
  port: number;
}

const root = join(import.meta.dirname, '../..');

export async function makeFrameHome(customers: string): Promise<FrameHome> {
  const folder = await makeDataFolder();
  const data = join(folder, 'data');
  const processes: FrameProcess[] = [];
  await cp(join(root, 'config'), join(folder, 'config'), { recursive: true });
  await makeClusterAt(data);
  await writeFile(join(folder, 'customers.yaml'), customers);

  function start(args: readonly string[], { env, input }: RunOptions = {}): FrameProcess {
    const child = spawn(process.execPath, [join(root, 'src/main.ts'), ...args], {
      cwd: folder,
      env: { PATH: process.env.PATH, FRAME_DATA: data, ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    const started = follow(child, input);
    processes.push(started);
    return started;
  }

  return {
    folder,
    data,
    start,
    run: (args, options) => start(args, options).finished,
    async serve({ env, ...options } = {}) {
      const serving = start(['serve'], { ...options, env: { FRAME_LISTEN: '127.0.0.1:0', ...env } });
      const line = await serving.until(/"listen":"127\.0\.0\.1:\d+"/);
      const port = Number(/(\d+)"$/.exec(line)?.[1]);
      // It speaks of its start a moment before it listens to signals; an answer comes after both.
      await (await fetch(`http://127.0.0.1:${port}/frame/live`)).text();
      return { ...serving, port };
    },
    writeCustomers: text => replace(join(folder, 'customers.yaml'), text),
    async writeFile(name, content, mode) {
      await writeFile(join(folder, name), content, { mode });
      return join(folder, name);
    },
    printed: () => processes.map(({ output }) => output()).join('\n'),
    remove,
    [Symbol.asyncDispose]: remove,
  };

  async function remove(): Promise<void> {
    await Promise.all(processes.map(({ stop }) => stop()));
    await removeDataFolder(data);
    await removeDataFolder(folder);
  }
}

// Private

/** A copy of the one that the run has made: initdb takes longer than everything else. */
async function makeClusterAt(data: string): Promise<void> {
  await cp(inject('postgres').template, data, { recursive: true, filter: source => !source.includes('/postgres') });
  await copyCluster(inject('postgres').template, data);
}

async function replace(file: string, text: string): Promise<void> {
  await writeFile(`${file}.new`, text);
  await rename(`${file}.new`, file);
}

function follow(child: ChildProcess, input: string | Buffer | undefined): FrameProcess {
  const { pid = 0, stdin, stdout, stderr } = child;
  const streams = { out: '', err: '', both: '' };
  let isOver = false;
  const listeners = new Set<() => void>();
  for (const [name, stream] of [
    ['out', stdout],
    ['err', stderr],
  ] as const) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      streams[name] += text;
      streams.both += text;
      for (const notice of listeners) notice();
    });
  }
  // A command may end before it has read everything.
  stdin?.on('error', () => {});
  stdin?.end(input);

  const finished = new Promise<Finished>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', exit => {
      isOver = true;
      resolve({ exit, out: streams.out, err: streams.err });
      for (const notice of listeners) notice();
    });
  });

  return {
    pid,
    finished,
    output: () => streams.both,
    until: (pattern, from = 0) =>
      new Promise((resolve, reject) => {
        const look = () => {
          const found = pattern.exec(streams.both.slice(from));
          if (!found && !isOver) return;
          listeners.delete(look);
          if (found) resolve(found[0]);
          else reject(new Error(`ended without ${pattern}:\n${streams.both}`));
        };
        listeners.add(look);
        look();
      }),
    async stop(signal = 'SIGTERM') {
      if (child.exitCode === null && child.signalCode === null && isAlive(pid)) child.kill(signal);
      return (await finished).exit;
    },
  };
}
