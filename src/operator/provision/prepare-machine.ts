import { FrameError } from '../../errors.ts';
import type { Provisioned } from '../agent/protocol.ts';
import { nameOf, type Platform } from '../release/platform.ts';
import { openHostOn } from '../remote/host.ts';
import { type Machine, openMachine } from '../remote/machine.ts';
import { size } from '../remote/measure.ts';
import type { Track } from '../remote/steps.ts';
import type { Desk } from '../remote/whom.ts';
import { nodeFor } from './node-program.ts';
import type { Wish } from './wish.ts';

/** A desk that somebody may leave: nothing new is begun then, and the connection is let go of. */
export interface LeftDesk extends Desk {
  signal: AbortSignal;
}

/** Reaches the machine, gives it what it takes to run our agent, and has the agent do the rest. */
export async function prepareMachine(wish: Wish, desk: LeftDesk, track: Track): Promise<Provisioned> {
  await using machine = await reach(wish, desk, track);
  await sendNode(machine, desk, track);
  desk.signal.throwIfAborted();
  const host = await openHostOn(machine, desk.by);
  return await host.ask('provision', wish.request, { onHeard: track.heard });
}

/** Why a machine could not say how it is, and what it is, if it said that much. */
export interface Unasked {
  unasked: string;
  os?: Platform['os'];
}

/** The same as a dry run; a sentence instead, when the machine cannot say how it is. */
export async function examineMachine(wish: Wish, desk: LeftDesk, track: Track): Promise<Provisioned | Unasked> {
  try {
    await using machine = await reach(wish, desk, track);
    if (!machine.hasNode()) return { unasked: 'nothing of Frame is on it yet', os: machine.platform.os };
    const host = await openHostOn(machine, desk.by);
    return await host.ask('provision', wish.request, { onHeard: track.heard, dryRun: true });
  } catch (thrown) {
    if (thrown instanceof FrameError && thrown.code === 'deploy/unreachable') return { unasked: thrown.message };
    throw thrown;
  }
}

// Private

async function reach({ customer }: Wish, { config, settings, signal }: LeftDesk, track: Track): Promise<Machine> {
  const home = config.home.replaceAll('{customer}', customer.id);
  const ssh = { configFile: settings.sshConfigFile, connectSeconds: config.steps.connectSeconds };
  const connect = () => openMachine({ customer, home, ssh });
  const machine = await track.run('connect', connect, ({ platform }) => `${customer.host}, ${nameOf(platform)}`);
  signal.addEventListener('abort', () => void machine[Symbol.asyncDispose](), { once: true });
  return machine;
}

async function sendNode(machine: Machine, { settings, config }: Desk, track: Track): Promise<void> {
  const { platform } = machine;
  await using node = await nodeFor({
    platform,
    dataFolder: settings.dataFolder,
    timeoutSeconds: config.steps.buildSeconds,
  });
  const meanwhile = (sent: number, total: number) => track.meanwhile('node', `${size(sent)} of ${size(total)}`);
  await track.run(
    'node',
    () => machine.sendNode(node.file, meanwhile),
    ({ sent }) => (sent ? `${nameOf(platform)}, for the agent` : 'as it was'),
  );
}
