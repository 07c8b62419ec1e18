import { type ChildProcess, fork } from 'node:child_process';
import { hash, randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Layout, layoutOf, SLOTS, type Slot } from '../../src/operator/agent/layout.ts';
import type { Answer, Kind, Question } from '../support/flip-load.ts';

/** Two slots that echo (slot.ts), and the home they are in. None runs yet, none is live. */
export interface Slots extends AsyncDisposable {
  layout: Layout;
  ports: Ports;
  /** Resolves when it listens. */
  start(slot: Slot): Promise<void>;
  /** Resolves to the exit code, or the signal, once it is gone. */
  end(slot: Slot, signal: 'SIGTERM' | 'SIGKILL'): Promise<number | string>;
  /** The ids of all POSTs that were carried out, by either slot. */
  carriedOut(): Promise<string[]>;
}

export type Ports = Record<Slot | 'proxy', number>;

export async function makeSlots(ports: Ports): Promise<Slots> {
  const layout = layoutOf(await mkdtemp(join(tmpdir(), `frame-test-${process.pid}-a b's $(c) `)));
  const journal = join(layout.home, 'journal');
  const running = new Map<Slot, ChildProcess>();
  for (const slot of SLOTS) {
    await mkdir(layout.slot(slot).folder, { recursive: true });
    await writeFile(layout.slot(slot).marker, '');
  }
  await mkdir(join(layout.live, '..'));
  await mkdir(join(layout.services, '..'));
  await writeFile(journal, '');

  async function end(slot: Slot, signal: 'SIGTERM' | 'SIGKILL'): Promise<number | string> {
    const child = running.get(slot);
    if (!child) return 'not running';
    running.delete(slot);
    // A Ctrl-C ends it before we do.
    if (child.exitCode === null && child.signalCode === null) {
      const exited = once(child, 'exit');
      child.kill(signal);
      await exited;
    }
    return child.exitCode ?? child.signalCode ?? '';
  }

  return {
    layout,
    ports,
    async start(slot) {
      const child = fork(PROGRAM, [slot, `${ports[slot]}`, journal], { execArgv: [] });
      running.set(slot, child);
      const exited = once(child, 'exit').then(([code]) => Promise.reject(new Error(`${slot} ended with ${code}.`)));
      await Promise.race([once(child, 'message'), exited]);
      exited.catch(() => {});
    },
    end,
    carriedOut: async () => (await readFile(journal, 'utf8')).split('\n').slice(0, -1),
    async [Symbol.asyncDispose]() {
      await Promise.all(SLOTS.map(slot => end(slot, 'SIGKILL')));
      await rm(layout.home, { recursive: true, force: true });
    },
  };
}

export const GET: Kind = {
  name: 'GET',
  share: 50,
  next: () => ({ method: 'GET', path: '/bytes/3000', complain: complainOfBody }),
};

/** What is asked of such slots: half of it GETs, the rest POSTs of every sort. Bodies are compared on both ends. */
export const ECHOES: readonly Kind[] = [
  GET,
  { name: 'POST', share: 30, next: () => post('/echo', [randomBytes(65_536)]) },
  { name: 'chunked POST', share: 15, next: () => post('/echo', [randomBytes(5000), randomBytes(5000)]) },
  { name: 'slow POST', share: 5, next: () => post('/slow', [randomBytes(500)]) },
];

/** Half a question, a long answer, and the rest of the question. */
export const INTERRUPTED: Kind = {
  name: 'interrupted POST',
  share: 1,
  next: () => ({
    method: 'POST',
    path: '/eager',
    headers: { 'content-length': '1000' },
    body: [randomBytes(500), randomBytes(500)],
    complain: complainOfBody,
  }),
};

// Private

const PROGRAM = join(import.meta.dirname, 'slot.ts');

function post(path: string, body: Buffer[]): Question {
  const id = randomUUID();
  const sent = hash('sha256', Buffer.concat(body));
  return {
    method: 'POST',
    path,
    id,
    body,
    headers: { 'x-question': id },
    complain: answer => (answer.headers['x-body-digest'] === sent ? complainOfBody(answer) : 'body damaged on its way'),
  };
}

function complainOfBody({ headers, body }: Answer): string | undefined {
  return headers['x-body-digest'] === hash('sha256', body) ? undefined : 'answer damaged on its way';
}
