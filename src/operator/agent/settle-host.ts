import { Refused } from './deed.ts';
import { readIfThere } from './durable.ts';
import type { Layout } from './layout.ts';
import { readHost } from './outlook.ts';
import type { HostFacts, Provisioning } from './protocol.ts';
import { runningProxy } from './restart-proxy.ts';
import { liveSlot, runnerOf } from './slots.ts';
import { USUAL_PORTS } from './units.ts';

/**
 * What this machine is: as asked for, else as it was, else as usual.
 * @throws Refused for the machine of another customer, and for ports that would shut everybody out
 */
export async function settleHost(
  { customer, ports, supervisor }: Provisioning,
  layout: Layout,
  env: Readonly<Record<string, string>>,
): Promise<HostFacts> {
  const isNew = (await readIfThere(layout.host)) === undefined;
  const before = isNew
    ? undefined
    : await readHost(layout.host).catch(thrown => {
        // What cannot be read is replaced by somebody who says all that it held.
        if (ports === undefined || supervisor === undefined) throw thrown;
        return undefined;
      });
  const owner = before?.customer ?? env.FRAME_CUSTOMER ?? customer;
  if (owner !== customer) {
    throw new Refused({
      code: 'deploy/refused',
      message: `This machine is that of \`${owner}\`, and nothing of \`${customer}\` belongs on it.`,
      hint: 'Mend `host` in customers.yaml.',
      exit: 2,
    });
  }
  if (before && ports) await refuseToMove(layout, before, ports);
  return {
    customer,
    ports: ports ?? before?.ports ?? USUAL_PORTS,
    supervisor: supervisor ?? before?.supervisor ?? (process.platform === 'darwin' ? 'launchd' : 'systemd'),
  };
}

// Private

/** Slots and proxy know their ports from when they started: with others, nobody would find anybody. */
async function refuseToMove(layout: Layout, { ports }: HostFacts, wanted: HostFacts['ports']): Promise<void> {
  const names = ['blue', 'green', 'proxy'] as const;
  if (names.every(name => ports[name] === wanted[name])) return;
  const running = await Promise.all([runnerOf(layout, 'blue'), runnerOf(layout, 'green'), runningProxy(layout)]);
  if (!(await liveSlot(layout)) || running.every(life => life === undefined)) return;
  throw new Refused({
    code: 'deploy/refused',
    message: `This machine serves on the ports ${names.map(name => ports[name]).join(', ')}, and with others nobody would reach it any more.`,
    hint: 'Free those instead. Or stop all its daemons, provision with the new ones, and start them again.',
    exit: 2,
  });
}
