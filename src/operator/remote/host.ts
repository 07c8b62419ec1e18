import type { Customer } from '../../customers/customer.ts';
import type { Verb, Verbs } from '../agent/protocol.ts';
import type { Platform } from '../release/platform.ts';
import type { Release } from '../release/release.ts';
import { type AskOptions, installAgent } from './agent.ts';
import { type Machine, type MachineOptions, openMachine } from './machine.ts';
import { type UploadOptions, uploadRelease } from './upload.ts';

export { AgentRefused } from './agent.ts';

/** A customer's machine, reached: the laptop's own agent is there and answers. */
export interface Host extends AsyncDisposable {
  customer: Customer;
  platform: Platform;
  /** Throws AgentRefused when it will not, FrameError `deploy/unreachable` when the machine is lost on the way. */
  ask<V extends Verb>(verb: V, request: Verbs[V]['request'], options?: AskOptions): Promise<Verbs[V]['answer']>;
  /** Sends what is not there yet, has it verified, and renames it. Nothing to do when the release is there. */
  upload(
    release: Release,
    onProgress: (sentBytes: number, totalBytes: number) => void,
    options?: UploadOptions,
  ): Promise<{ sentBytes: number }>;
}

export interface HostOptions extends MachineOptions {
  /** Who asks, for lock and history: `anna@laptop`. */
  by: string;
}

/**
 * @throws FrameError `deploy/unreachable`; `deploy/refused` for a customer without a host, or a machine that was never
 * provisioned
 */
export async function openHost(options: HostOptions): Promise<Host> {
  const machine = await openMachine(options);
  try {
    return await openHostOn(machine, options.by);
  } catch (thrown) {
    await machine[Symbol.asyncDispose]();
    throw thrown;
  }
}

/** On a connection that is open already: `provision` sends Node first. To close one of the two is enough. */
export async function openHostOn(machine: Machine, by: string): Promise<Host> {
  const ask = await installAgent(machine, by);
  return {
    customer: machine.customer,
    platform: machine.platform,
    ask,
    upload: (release, onProgress, options) => uploadRelease(machine, ask, release, onProgress, options),
    [Symbol.asyncDispose]: () => machine[Symbol.asyncDispose](),
  };
}
