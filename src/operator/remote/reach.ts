import { join } from 'node:path';
import { FrameError } from '../../errors.ts';
import type { Inspection } from '../agent/protocol.ts';
import { buildRelease, chooseCommit } from '../release/build.ts';
import { resolveCommit } from '../release/commit.ts';
import { type Host, openHost } from './host.ts';
import { plain } from './plain.ts';
import type { Desk, Hosted } from './whom.ts';

/** What the verbs do not do themselves. */
export interface Means {
  /** The git clone of Frame that releases are made of. */
  root: string;
  openHost: typeof openHost;
  chooseCommit: typeof chooseCommit;
  resolveCommit: typeof resolveCommit;
  buildRelease: typeof buildRelease;
}

export const MEANS: Means = {
  root: join(import.meta.dirname, '../../..'),
  openHost,
  chooseCommit,
  resolveCommit,
  buildRelease,
};

/** A machine that was looked at before anything is asked of it. */
export interface Reached extends AsyncDisposable {
  host: Host;
  found: Inspection;
}

/**
 * Connects and looks. A slip in `host:` must not send one company's release and rules to the machine of another.
 * @throws FrameError `deploy/unreachable`; `deploy/refused` for the machine of somebody else, or one never provisioned
 */
export async function reach(customer: Hosted, desk: Desk, { openHost }: Means): Promise<Reached> {
  const reached = await look(customer, desk, openHost);
  const owner = reached.found.host.customer;
  if (owner === customer.id) return reached;
  await reached[Symbol.asyncDispose]();
  const message = `The machine ${customer.host} was provisioned for \`${plain(owner)}\`, not for \`${customer.id}\`.`;
  throw new FrameError('deploy/refused', message, {
    hint: `Correct \`host\` of \`${customer.id}\` in customers.yaml.`,
  });
}

/** For whoever does not wait for ever. */
export interface Patience {
  /** Aborted: the connection is given up, and its reason is thrown. */
  signal?: AbortSignal;
  /** The machine has answered. */
  onReached?(): void;
}

/** The same, of whosoever machine it is: for those who report and change nothing. */
export async function look(
  customer: Hosted,
  desk: Desk,
  open: Means['openHost'],
  { signal, onReached }: Patience = {},
): Promise<Reached> {
  const { steps, home } = desk.config;
  const host = await open({
    customer,
    by: desk.by,
    home: home.replaceAll('{customer}', customer.id),
    ssh: { configFile: desk.settings.sshConfigFile, connectSeconds: steps.connectSeconds, signal },
  });
  onReached?.();
  try {
    const found = await host.ask('inspect', {}, { timeoutSeconds: LOOK_SECONDS });
    return { host, found, [Symbol.asyncDispose]: () => host[Symbol.asyncDispose]() };
  } catch (thrown) {
    await host[Symbol.asyncDispose]();
    throw thrown;
  }
}

// Private

const LOOK_SECONDS = 30;
