import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { Chore, Heard, Provisioned, Provisioning, Refusal } from '../../src/operator/agent/protocol.ts';
import { servicesInclude } from '../../src/operator/provision/services-include.ts';

/** A machine that was never seen before, as the agent finds it: a folder, and the programs that somebody installed. */
export interface TestMachine extends AsyncDisposable {
  home: string;
  /** A real agent process. */
  provision(request?: Partial<Provisioning>, options?: ProvisionOptions): Promise<Answered>;
  read(name: string): Promise<string>;
  write(name: string, content: string | Buffer, mode?: number): Promise<void>;
  /** `600`; undefined when nothing is there. */
  mode(name: string): Promise<string | undefined>;
}

export interface ProvisionOptions {
  dryRun?: boolean;
  /** The only programs in its PATH; default: all that are here. */
  programs?: Readonly<Record<string, string>>;
  started?(pid: number): void;
  /** SIGKILL when this step begins. */
  killAt?: string;
}

export interface Answered {
  exit: number | null;
  /** Everything it wrote, both streams. */
  printed: string;
  heard: Heard[];
  answer?: Provisioned;
  refusal?: Refusal;
  done: readonly string[];
  left: readonly Chore[];
}

export const CADDYFILE = join(import.meta.dirname, '../../Caddyfile');

/** `name`: of the home folder. */
export async function makeMachine(name = 'frame'): Promise<TestMachine> {
  const folder = await mkdtemp(join(tmpdir(), 'frame-machine-'));
  // Other logins get through to it, as a server that root runs as `nobody` must.
  await chmod(folder, 0o711);
  const home = join(folder, name);
  await mkdir(home);
  const at = (file: string) => join(home, file);
  return {
    home,
    read: file => readFile(at(file), 'utf8'),
    async write(file, content, mode = 0o600) {
      await mkdir(join(at(file), '..'), { recursive: true });
      await writeFile(at(file), content);
      await chmod(at(file), mode);
    },
    mode: file =>
      stat(at(file)).then(
        ({ mode }) => (mode & 0o777).toString(8),
        () => undefined,
      ),
    async provision(request = {}, { programs, ...options } = {}) {
      const PATH = programs ? await makePath(folder, programs) : process.env.PATH;
      return await ask(home, { ...(await usual()), ...request }, { ...options, PATH });
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

/** What the laptop asks for when nothing is special. No Postgres is found at this port. */
export async function usual(): Promise<Provisioning> {
  return {
    customer: 'axe',
    supervisor: 'none',
    customers: 'customers:\n  axe:\n    name: AXE LLC\n',
    proxy: {
      caddyfile: await readFile(CADDYFILE, 'utf8'),
      services: servicesInclude({ services: {}, origin: ORIGIN }),
    },
    env: {},
    database: { port: 1, role: 'frame', databases: ['frame_control', 'frame_axe'] },
    restartProxy: true,
  };
}

export const ORIGIN = 'https://axe.example';

// Private

const AGENT = join(import.meta.dirname, '../../src/operator/agent/main.ts');

async function ask(
  home: string,
  request: Provisioning,
  { dryRun = false, PATH, started, killAt }: ProvisionOptions & { PATH: string | undefined },
): Promise<Answered> {
  const child = spawn(process.execPath, [AGENT, home], { env: { PATH, HOME: home } });
  started?.(child.pid ?? 0);
  child.stdout.on('data', (bytes: Buffer) => {
    if (killAt && bytes.includes(`"step":"${killAt}","state":"begun"`)) child.kill('SIGKILL');
  });
  child.stdin.end(`${JSON.stringify({ verb: 'provision', by: 'anna@laptop', dryRun, ...request })}\n`);
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  const heard = out.split('\n').flatMap(line => (line === '' ? [] : [JSON.parse(line) as Heard]));
  const last = heard.at(-1);
  const answer = last?.kind === 'answer' ? (last.answer as Provisioned) : undefined;
  return {
    exit: child.exitCode,
    printed: out + err,
    heard,
    ...(answer && { answer }),
    ...(last?.kind === 'refusal' && { refusal: last.refusal }),
    done: answer?.done ?? [],
    left: answer?.left ?? [],
  };
}

/** A folder with these and what every machine has. */
async function makePath(folder: string, programs: Readonly<Record<string, string>>): Promise<string> {
  const path = await mkdtemp(join(folder, 'path-'));
  const usual = Object.fromEntries(['sh', 'dirname', 'mv'].map(name => [name, `/usr/bin/${name}`]));
  for (const [name, file] of Object.entries({ ...usual, ...programs })) await symlink(file, join(path, name));
  return path;
}
