import { FrameError } from '../../errors.ts';
import type { Verbs } from '../agent/protocol.ts';
import type { Io } from '../command.ts';
import { nameOf } from '../release/platform.ts';
import type { Host } from './host.ts';
import { untilInterrupted } from './interrupt.ts';
import { limitsOf, patienceSeconds } from './limits.ts';
import { type Means, type Reached, reach } from './reach.ts';
import { createStepBoard, type Track } from './steps.ts';
import type { Desk, Hosted } from './whom.ts';

/** What one verb does at one customer's machine. */
export interface Errand {
  customer: Hosted;
  desk: Desk;
  means: Means;
  track: Track;
  dryRun: boolean;
  /** Somebody has left: nothing new is begun. */
  signal: AbortSignal;
  /** Whose machine is changing, and goes on without this laptop. */
  busy: Set<string>;
}

export interface ErrandOptions {
  io: Io;
  desk: Desk;
  means: Means;
  dryRun: boolean;
}

/** Resolves to undefined when somebody left with Ctrl-C; what that means was said. */
export async function runErrands<T>(
  { io, ...same }: ErrandOptions,
  customers: readonly Hosted[],
  work: (errandFor: (customer: Hosted) => Errand) => Promise<T>,
): Promise<T | undefined> {
  using board = createStepBoard(
    io,
    customers.map(({ id }) => id),
  );
  const busy = new Set<string>();
  const leave = () => {
    board[Symbol.dispose]();
    sayWhatGoesOn([...busy], io);
  };
  return await untilInterrupted(leave, signal =>
    work(customer => ({ ...same, customer, signal, busy, track: board.track(customer.id) })),
  );
}

/** Connects, looks whose machine it is, and lets go of it in every case. */
export async function withMachine<T>(
  { customer, desk, means, track, signal }: Errand,
  work: (reached: Reached) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted();
  const connect = () => reach(customer, desk, means);
  await using reached = await track.run('connect', connect, ({ host }) => `${customer.host}, ${nameOf(host.platform)}`);
  const letGo = () => void reached[Symbol.asyncDispose]();
  signal.addEventListener('abort', letGo);
  try {
    return await work(reached);
  } finally {
    signal.removeEventListener('abort', letGo);
  }
}

/** Asks for something that changes the machine. Whoever asked may be gone before it is done: it is done all the same. */
export async function askToTheEnd<V extends 'activate' | 'promote' | 'rollback' | 'cleanup'>(
  { customer, desk, track, dryRun, signal, busy }: Errand,
  host: Host,
  verb: V,
  request: Verbs[V]['request'],
): Promise<Verbs[V]['answer']> {
  signal.throwIfAborted();
  if (!dryRun) busy.add(customer.id);
  try {
    const timeoutSeconds = patienceSeconds(limitsOf(desk.config));
    return await host.ask(verb, request, { dryRun, onHeard: track.heard, timeoutSeconds });
  } catch (thrown) {
    track.lose();
    throw dryRun ? thrown : orLost(thrown, customer);
  } finally {
    busy.delete(customer.id);
  }
}

// Private

/** The agent goes on without us; nobody here knows whether it succeeds. */
function orLost(thrown: unknown, { id }: Hosted): unknown {
  if (!(thrown instanceof FrameError) || thrown.code !== 'deploy/unreachable') return thrown;
  const message = `${thrown.message}\nThe machine brings this to its end by itself. Nobody here knows what came of it.`;
  const hint = `\`frame slot status ${id}\` says it. The same command again goes on from there.`;
  return new FrameError(thrown.code, message, { hint, cause: thrown });
}

function sayWhatGoesOn(busy: readonly string[], { err }: Io): void {
  if (busy.length === 0) err('Left. No machine was changing; the same command again goes on from here.');
  for (const id of busy) {
    err(`Left. ${id} brings this to its end by itself: \`frame slot status ${id}\` says what came of it.`);
  }
}
