import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Slot } from '../../src/operator/agent/layout.ts';
import { keptFolder } from './outside-program.ts';

/** The real Caddy before two slots. */
export interface CaddyProgram {
  /** For titles: says why when tests are skipped. */
  title: string;
  /** Undefined when it is not here and cannot be had. */
  file?: string;
}

export interface Caddy extends AsyncDisposable {
  pid: number;
  origin: string;
  /** Everything that it has said. */
  log(): Promise<string>;
  /** Resolves when it is gone. */
  stop(): Promise<void>;
}

export interface CaddyOptions {
  file: string;
  /** FRAME_HOME. Caddy's own files go below it, too. */
  home: string;
  ports: Record<Slot | 'proxy', number>;
  /** Default: the project's. */
  caddyfile?: string;
}

/** Debian's, which is the oldest that Frame works with, and the newest one that Debian has. */
export async function findCaddies(): Promise<CaddyProgram[]> {
  return [await findInstalled(), await findNewest()];
}

/** Resolves when it listens; rejects with what it said when it does not come to that. */
export async function startCaddy({ file, home, ports, caddyfile = CADDYFILE }: CaddyOptions): Promise<Caddy> {
  const folder = await mkdtemp(join(home, 'caddy-'));
  const logFile = join(folder, 'log');
  const log = await open(logFile, 'a');
  const child = spawn('/bin/sh', ['-c', LIFELINE, file, 'run', '--adapter', 'caddyfile', '--config', caddyfile], {
    cwd: folder,
    env: {
      HOME: folder,
      FRAME_HOME: home,
      FRAME_PROXY_PORT: `${ports.proxy}`,
      FRAME_BLUE_PORT: `${ports.blue}`,
      FRAME_GREEN_PORT: `${ports.green}`,
    },
    stdio: ['ignore', log.fd, log.fd, 'pipe'],
  });
  await log.close();
  const [, , , lifeline] = child.stdio;
  child.once('exit', () => lifeline instanceof Writable && lifeline.end('over\n'));
  const readLog = () => readFile(logFile, 'utf8');
  if (!(await isListening(child, ports.proxy))) {
    await stop(child);
    throw new Error(`${file} did not start:\n${await readLog()}`);
  }
  return {
    pid: child.pid ?? 0,
    origin: `http://127.0.0.1:${ports.proxy}`,
    log: readLog,
    stop: () => stop(child),
    [Symbol.asyncDispose]: () => stop(child),
  };
}

// Private

const CADDYFILE = join(import.meta.dirname, '../../Caddyfile');
const INSTALLED = '/usr/bin/caddy';
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';
/** Becomes Caddy. However this process ends, also when it is killed, Caddy ends with it: then nobody says `over`. */
const LIFELINE = '(read -r over <&3 || kill -9 $$) & exec "$0" "$@" 3<&-';
const START_MS = 15_000;
const STOP_MS = 2000;
const POLL_MS = 20;
const DOWNLOAD_MS = 60_000;
const run = promisify(execFile);

async function findInstalled(): Promise<CaddyProgram> {
  if (existsSync(INSTALLED)) return { title: await titleOf(INSTALLED), file: INSTALLED };
  return { title: `Caddy (skipped: there is no ${INSTALLED})` };
}

async function findNewest(): Promise<CaddyProgram> {
  try {
    const folder = join(await keptFolder(), 'caddy');
    const file = join(folder, 'usr/bin/caddy');
    if (!existsSync(file)) await unpackNewest(folder, file);
    return { title: await titleOf(file), file };
  } catch (error) {
    return { title: `the newest Caddy (skipped: ${reasonIn(error)})` };
  }
}

async function titleOf(file: string): Promise<string> {
  const { stdout } = await run(file, ['version']);
  return `Caddy ${stdout.trim().split(' ')[0]}`;
}

/**
 * Out of Debian's `sid`, without a trace in the system: apt gets lists of its own. Two runs may do so at once: each makes
 * a copy of its own, and the first one to be complete stays.
 */
async function unpackNewest(folder: string, file: string): Promise<void> {
  const copy = await mkdtemp(`${folder}-`);
  const apt = (...args: string[]) => run('apt-get', [...flagsFor(copy), ...args], { cwd: copy, timeout: DOWNLOAD_MS });
  try {
    await mkdir(join(copy, 'lists/partial'), { recursive: true });
    await writeFile(join(copy, 'sources.list'), `deb [signed-by=${KEYRING}] ${await findMirror()} sid main\n`);
    await apt('update');
    await apt('download', 'caddy');
    await run('sh', ['-c', 'exec dpkg --extract caddy_*.deb unpacked'], { cwd: copy });
    await rename(join(copy, 'unpacked'), folder).catch(error => {
      if (!existsSync(file)) throw error;
    });
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
}

function flagsFor(folder: string): string[] {
  const options = {
    'Dir::Etc::sourcelist': join(folder, 'sources.list'),
    'Dir::Etc::sourceparts': '/dev/null',
    'Dir::State::lists': join(folder, 'lists'),
    'Dir::Cache': join(folder, 'cache'),
    'APT::Sandbox::User': userInfo().username,
    'APT::Update::Error-Mode': 'any',
    'Acquire::Languages': 'none',
    'Acquire::Retries': '0',
    'Acquire::http::Timeout': '10',
    'Acquire::https::Timeout': '10',
  };
  return ['--quiet=2', ...Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`])];
}

/** Where this machine has its own Debian packages from. */
async function findMirror(): Promise<string> {
  const { stdout } = await run('apt-get', ['indextargets', '--format', '$(REPO_URI)', 'Created-By: Packages']);
  const mirror = stdout.split('\n').find(uri => /\/debian\/?$/.test(uri));
  if (mirror === undefined) throw new Error('no package source of Debian is configured here');
  return mirror;
}

function reasonIn(error: unknown): string {
  if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return 'there is no apt-get';
  const lines = String(error).split('\n');
  return lines.find(line => line.startsWith('E: ')) ?? lines[0] ?? '';
}

/** A question would be passed on, and wait for a slot that is not there. */
async function isListening(child: ChildProcess, port: number): Promise<boolean> {
  const deadline = performance.now() + START_MS;
  while (!isGone(child) && performance.now() < deadline) {
    if (await takesConnections(port)) return !isGone(child);
    await pause(POLL_MS);
  }
  return false;
}

async function takesConnections(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  const isOpen = await once(socket, 'connect').then(
    () => true,
    () => false,
  );
  socket.destroy();
  return isOpen;
}

async function stop(child: ChildProcess): Promise<void> {
  if (isGone(child)) return;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  const patience = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
  await exited;
  clearTimeout(patience);
}

function isGone({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}
