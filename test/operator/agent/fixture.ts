import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, readlink, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { vi } from 'vitest';
import { readHistory } from '../../../src/operator/agent/history.ts';
import { type Layout, layoutOf, SLOTS, type Slot } from '../../../src/operator/agent/layout.ts';
import type {
  Activated,
  Activation,
  Heard,
  HistoryLine,
  Limits,
  Verb,
  Verbs,
} from '../../../src/operator/agent/protocol.ts';
import { type Caddy, startCaddy } from '../../support/caddy.ts';
import { freePorts } from '../../support/frame-process.ts';
import { type Supervisor, supervise } from '../../support/supervisor.ts';
import { COMPILED, writeTinyProgram } from './tiny-program.ts';
import type { Behaviour } from './tiny-release.ts';

// Dozens of real processes per test: on a machine that is busy otherwise, each takes its time.
vi.setConfig({ testTimeout: 90_000 });

/** A customer's machine: a home as `provision` leaves it, a supervisor, a proxy, and tiny releases. */
export interface Machine extends AsyncDisposable {
  layout: Layout;
  ports: Record<Slot | 'proxy', number>;
  supervisor: Supervisor;
  proxy: Caddy;
  /** A whole release of this number; the higher, the newer. Resolves to its id. */
  release(number: number, behaviour?: Behaviour): Promise<string>;
  behave(id: string, behaviour: Behaviour): Promise<void>;
  /** Asks the agent, and waits for its end. */
  ask<V extends Verb>(verb: V, request: Verbs[V]['request'], options?: AgentOptions): Promise<Told<V>>;
  start<V extends Verb>(verb: V, request: Verbs[V]['request'], options?: AgentOptions): Agent<V>;
  activate(id: string, changes?: Partial<Activation>, options?: AgentOptions): Promise<Told<'activate'>>;
  /** Like `activate`; fails the test when it did. */
  deploy(id: string, changes?: Partial<Activation>): Promise<Activated>;
  live(): Promise<string | undefined>;
  linked(slot: Slot): Promise<string | undefined>;
  history(): Promise<HistoryLine[]>;
  /** `ok 1 → 2`: result, from and to by their numbers. */
  story(): Promise<string[]>;
  /** Which release answers through the proxy; the status when it is not 200. */
  serving(): Promise<string>;
}

export interface AgentOptions {
  by?: string;
  dryRun?: boolean;
  /** `flip begun`: it is killed when it tells that. */
  killAt?: string;
}

export interface Told<V extends Verb> {
  exit: number | null;
  heard: Heard[];
  answer?: Verbs[V]['answer'];
  refusal?: Extract<Heard, { kind: 'refusal' }>['refusal'];
  /** `gate failed`, in order, without those that began. */
  steps: string[];
}

export interface Agent<V extends Verb> {
  child: ChildProcess;
  /** Resolves when the step was told to begin, or to have failed; rejects when the agent ended without it. */
  begins(step: string): Promise<void>;
  fails(step: string): Promise<void>;
  told: Promise<Told<V>>;
}

export interface Traffic extends AsyncDisposable {
  /** Resolves when there were so many. */
  answers(number: number): Promise<void>;
  /** What went wrong. */
  failures: readonly string[];
}

export const CUSTOMERS = `customers:
  axe:
    name: AXE LLC
    # origin: https://old.example.com
    origin: https://axe.example.com
`;

export const LIMITS: Limits = {
  gate: { answers: 2, seconds: 20 },
  stopSeconds: 5,
  migrateSeconds: 20,
  verify: { answers: 3, seconds: 10 },
  watch: { seconds: 0, errorPoints: 2, latencyFactor: 3, minRequests: 20 },
  minFreeMegabytes: 1,
};

export const PASSWORD = 'pa55-w%3Ard';

export function idOf(number: number): string {
  return `20261120T${String(100_000 + number)}Z-${String(number).padStart(7, '0')}`;
}

export async function makeMachine(): Promise<Machine> {
  const home = await mkdtemp(join(tmpdir(), `frame-agent it's $(here) `));
  const layout = layoutOf(home);
  const base = await freePorts();
  const ports = { blue: base, green: base + 1, proxy: base + 2 };
  await layOut(layout, ports);
  const supervisor = supervise(home, { ports, restartMs: 20 });
  const proxy = await startCaddy({ file: 'caddy', home, ports });
  const agents = new Set<ChildProcess>();

  const machine: Machine = {
    layout,
    ports,
    supervisor,
    proxy,
    async release(number, behaviour = {}) {
      const id = idOf(number);
      await makeRelease(layout, id, behaviour);
      return id;
    },
    // In one go: a request that reads it half written would end the process of the release.
    async behave(id, behaviour) {
      const file = join(layout.release(id), 'behaviour.json');
      await writeFile(`${file}.new`, JSON.stringify(behaviour));
      await rename(`${file}.new`, file);
    },
    start(verb, request, options) {
      const agent = startAgent(home, verb, request, options);
      agents.add(agent.child);
      return agent;
    },
    ask: (verb, request, options) => machine.start(verb, request, options).told,
    activate: (id, changes, options) =>
      machine.ask('activate', { id, promote: true, customers: CUSTOMERS, limits: LIMITS, ...changes }, options),
    async deploy(id, changes) {
      const { answer, refusal, exit } = await machine.activate(id, changes);
      if (!answer) throw new Error(`activate ended with ${exit}: ${JSON.stringify(refusal)}`);
      return answer;
    },
    live: () => readlink(layout.live).catch(() => undefined),
    linked: slot => readlink(layout.slot(slot).release).catch(() => undefined),
    history: () => readHistory(layout.history),
    story: async () => (await readHistory(layout.history)).map(tellLine),
    async serving() {
      const answer = await fetch(`${proxy.origin}/frame/ready`);
      await answer.arrayBuffer();
      return answer.ok ? (answer.headers.get('x-frame-release') ?? '') : `${answer.status}`;
    },
    async [Symbol.asyncDispose]() {
      for (const child of agents) child.kill('SIGKILL');
      await Promise.all([supervisor.stop(), proxy.stop()]);
      await rm(home, { recursive: true, force: true, maxRetries: 5 });
    },
  };
  return machine;
}

/** Two callers with a token, one call after the other, through the proxy. */
export function startTraffic({ proxy }: Machine): Traffic {
  let count = 0;
  let isOver = false;
  const failures: string[] = [];
  async function call(): Promise<void> {
    while (!isOver) {
      const init = { method: 'POST', headers: { Authorization: 'Bearer token' }, body: '{}' };
      const answer = await fetch(`${proxy.origin}/frame/mcp`, init).catch(thrown => String(thrown));
      if (typeof answer === 'string') failures.push(answer);
      else if (!answer.ok) failures.push(`${answer.status}`);
      if (typeof answer !== 'string') await answer.arrayBuffer();
      await pause(10);
      count += 1;
    }
  }
  const callers = Promise.all([call(), call()]);
  return {
    failures,
    answers: number => eventually(() => count >= number),
    async [Symbol.asyncDispose]() {
      isOver = true;
      await callers;
    },
  };
}

/** Asks until it is so; fails the test when it takes too long. */
export async function eventually(isSo: () => Promise<boolean> | boolean, withinMs = 20_000): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`It does not become so: ${isSo}`);
    await pause(20);
  }
}

export async function textOf(file: string): Promise<string> {
  return await readFile(file, 'utf8');
}

/** Everything in the home but logs, pids and what the proxy keeps: path → content, target or mark. */
export async function snapshot({ home }: Layout): Promise<Record<string, string>> {
  const entries = await readdir(home, { recursive: true, withFileTypes: true });
  const told = entries.map(async (entry): Promise<[string, string][]> => {
    const path = join(entry.parentPath, entry.name);
    const name = relative(home, path);
    // Not even read: they come and go.
    if (/^(log|caddy-)|\/pid(\.\d+)?$/.test(name)) return [];
    if (entry.isSymbolicLink()) return [[name, await readlink(path)]];
    return [[name, entry.isFile() ? await readFile(path, 'utf8') : '']];
  });
  return Object.fromEntries((await Promise.all(told)).flat());
}

// Private

function tellLine({ result, from, to }: HistoryLine): string {
  const name = (id = '-') => Number(id.slice(-7)) || id;
  return from || to ? `${result} ${name(from)} → ${name(to)}` : result;
}

const here = import.meta.dirname;
const agentFile = join(here, '../../../src/operator/agent/main.ts');

async function layOut(layout: Layout, ports: Machine['ports']): Promise<void> {
  const { home } = layout;
  for (const folder of ['bin', 'releases', 'state/data', 'shared', 'log', 'proxy']) {
    await mkdir(join(home, folder), { recursive: true });
  }
  for (const slot of SLOTS) {
    await mkdir(layout.slot(slot).folder, { recursive: true });
    await writeFile(layout.slot(slot).marker, '');
  }
  // The real one, but for how often a slot that waits looks around.
  const runSlot = await textOf(join(here, '../../../src/operator/agent/run-slot.sh'));
  await writeFile(layout.runSlot, runSlot.replace('sleep 0.2', 'sleep 0.02'), { mode: 0o755 });
  await writeFile(layout.host, JSON.stringify({ customer: 'axe', ports, supervisor: 'none' }));
  const secrets = `FRAME_DATABASE_URL=postgres://frame:${PASSWORD}@127.0.0.1:3700/postgres\nAXE_ENTRA_CLIENT_SECRET=s3cret-of-axe\n`;
  await writeFile(layout.env, `FRAME_CUSTOMER=axe\n${secrets}`, { mode: 0o600 });
  await writeFile(layout.customers, CUSTOMERS, { mode: 0o600 });
  await writeFile(layout.masterKey, Buffer.alloc(32, 7).toString('base64'), { mode: 0o600 });
}

async function makeRelease(layout: Layout, id: string, behaviour: Behaviour): Promise<void> {
  const folder = layout.release(id);
  for (const part of ['src/database', 'src/vault', 'config', 'node_modules/.bin']) {
    await mkdir(join(folder, part), { recursive: true });
  }
  await writeFile(join(folder, 'src/database/walls.ts'), behaviour.walls ?? '');
  await writeTinyProgram(folder);
  await symlink(process.execPath, join(folder, 'node_modules/.bin/node'));
  await writeFile(join(folder, 'package.json'), '{"type":"module"}');
  await writeFile(join(folder, 'behaviour.json'), JSON.stringify(behaviour));
  const file = {
    release: id,
    commit: '0'.repeat(40),
    tree: '0'.repeat(64),
    platform: `${process.platform}-${process.arch}`,
    node: process.versions.node,
    schema: {
      control: { newest: 0, breaking: 0 },
      entity: { newest: behaviour.breaking ?? 0, breaking: behaviour.breaking ?? 0 },
    },
  };
  await writeFile(join(folder, 'release.json'), JSON.stringify(file));
}

function startAgent<V extends Verb>(
  home: string,
  verb: V,
  request: Verbs[V]['request'],
  { by = 'anna@laptop', dryRun = false, killAt }: AgentOptions = {},
): Agent<V> {
  const preload = killAt ? ['--import', join(here, 'kill-at.ts')] : [];
  const env = { PATH: process.env.PATH, HOME: home, NODE_COMPILE_CACHE: COMPILED, FRAME_TEST_KILL_AT: killAt };
  const child = spawn(process.execPath, [...preload, agentFile, home], { env, stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin.on('error', () => {});
  // Left open, as a connection is.
  child.stdin.write(`${JSON.stringify({ verb, by, dryRun, ...request })}\n`);
  const heard: Heard[] = [];
  const looks = new Set<() => void>();
  let rest = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const lines = `${rest}${text}`.split('\n');
    rest = lines.pop() ?? '';
    heard.push(...lines.map(line => JSON.parse(line) as Heard));
    for (const look of looks) look();
  });
  const { promise: closed, resolve: close } = Promise.withResolvers<number | null>();
  child.once('close', close);
  async function comesTo(step: string, state: 'begun' | 'failed'): Promise<void> {
    const isThere = () => heard.some(event => event.kind === 'step' && event.step === step && event.state === state);
    const { promise, resolve } = Promise.withResolvers<void>();
    const look = () => {
      if (isThere()) resolve();
    };
    looks.add(look);
    look();
    await Promise.race([promise, closed]);
    if (!isThere()) throw new Error(`The agent ended without ${step} ${state}: ${JSON.stringify(heard.at(-1))}`);
  }

  return {
    child,
    begins: step => comesTo(step, 'begun'),
    fails: step => comesTo(step, 'failed'),
    told: closed.then(exit => ({
      exit,
      heard,
      answer: heard.findLast(event => event.kind === 'answer')?.answer as Verbs[V]['answer'] | undefined,
      refusal: heard.findLast(event => event.kind === 'refusal')?.refusal,
      steps: heard.flatMap(event =>
        event.kind === 'step' && event.state !== 'begun' ? [`${event.step} ${event.state}`] : [],
      ),
    })),
  };
}
