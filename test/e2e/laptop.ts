import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { promisify } from 'node:util';
import type { Finished } from '../support/frame-process.ts';
import { type Sshd, startSshd } from '../support/sshd.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '../..');

/** An operator's laptop: a git clone of Frame as it is here, and `ssh` that reaches one machine. */
export interface Laptop extends AsyncDisposable {
  /** The clone; customers.yaml and config/ are in it. */
  clone: string;
  sshd: Sshd;
  write(file: string, text: string): Promise<void>;
  /** Writes a file and commits it, so that there is something new to deploy. Resolves to the first 7 letters. */
  commit(file: string, text: string): Promise<string>;
  /** `frame …` as somebody types it there. */
  frame(args: readonly string[], env?: Record<string, string>): Promise<Finished>;
  /** The same, for who wants to end it early. */
  start(args: readonly string[], env?: Record<string, string>): ChildProcess;
}

/** `alias`: what customers.yaml calls the machine. */
export async function makeLaptop(alias: string): Promise<Laptop> {
  const clone = await mkdtemp(join(tmpdir(), 'frame-laptop-'));
  await copyWorkTree(clone);
  await symlink(join(root, 'node_modules'), join(clone, 'node_modules'));
  const git = (...args: string[]) => run('git', ['-C', clone, ...IDENTITY, ...args]);
  await git('init', '--quiet', '--initial-branch=main');
  await git('add', '--all');
  await git('commit', '--quiet', '--message=under test');
  const sshd = await startSshd({ aliases: [alias] });
  const usual = { ...withoutFrame(process.env), FRAME_SSH_CONFIG: sshd.configFile };
  const write = async (file: string, text: string) => {
    await mkdir(join(clone, file, '..'), { recursive: true });
    await writeFile(join(clone, file), text);
  };
  const start = (args: readonly string[], env: Record<string, string> = {}) =>
    spawn(process.execPath, [join(clone, 'src/main.ts'), ...args], {
      cwd: clone,
      env: { ...usual, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  return {
    clone,
    sshd,
    write,
    start,
    async commit(file, text) {
      await write(file, text);
      await git('add', '--all');
      await git('commit', '--quiet', `--message=${file}`);
      return (await git('rev-parse', '--short=7', 'HEAD')).stdout.trim();
    },
    async frame(args, env) {
      const child = start(args, env);
      let [out, err] = ['', ''];
      child.stdout?.setEncoding('utf8').on('data', (text: string) => {
        out += text;
      });
      child.stderr?.setEncoding('utf8').on('data', (text: string) => {
        err += text;
      });
      const [exit] = await once(child, 'close');
      return { exit, out, err };
    },
    async [Symbol.asyncDispose]() {
      await sshd.close();
      await rm(clone, { recursive: true, force: true });
    },
  };
}

// Private

const IDENTITY = ['-c', 'user.name=Operator', '-c', 'user.email=operator@example.invalid', '-c', 'gc.auto=0'];
/** What the person at this machine has set is not what the operator of the test has. */
function withoutFrame(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('FRAME_')));
}

const LEFT_OUT = new Set(['.git', '.frame', 'node_modules']);

async function copyWorkTree(to: string): Promise<void> {
  const filter = (source: string) => !LEFT_OUT.has(relative(root, source));
  await cp(root, to, { recursive: true, filter });
}
