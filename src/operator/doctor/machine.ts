import type { Customer } from '../../customers/customer.ts';
import { FrameError } from '../../errors.ts';
import { otherSlot } from '../agent/layout.ts';
import type { Inspection } from '../agent/protocol.ts';
import type { Inspect } from '../health/inspect.ts';
import { broken, type Finding, ok, type StepReport, skipped, unclear } from './walk.ts';

/** What the machine says of itself: a fault that it does not see lies between it and the internet. */
export async function askMachine(
  customer: Customer,
  inspect: Inspect,
  walked: readonly StepReport[],
): Promise<Finding> {
  const { host } = customer;
  if (host === undefined) return skipped('customers.yaml names no host.');
  const machine = await inspect({ ...customer, host }).catch(unasked);
  if ('sentence' in machine) return unclear(machine.sentence);
  return faultOf(machine, customer) ?? ok(`${wellness(machine)}${conclusion(walked)}`);
}

// Private

/** Nobody's clients come this way, so nothing is broken. */
function unasked(thrown: unknown): { sentence: string } {
  if (!(thrown instanceof FrameError)) throw thrown;
  return { sentence: `${thrown.message}${thrown.hint === undefined ? '' : ` ${thrown.hint}`}` };
}

function faultOf({ host, live, slots, proxy }: Inspection, { id }: Customer): Finding | undefined {
  if (host.customer !== id) {
    return broken(`The machine is that of ${host.customer}.`, `Correct host of ${id} in customers.yaml.`);
  }
  if (!live) return broken('No slot is live on it.', `\`frame deploy ${id}\` brings a release and makes it live.`);
  const { ready, release } = slots[live];
  if (ready?.status !== 200) {
    const back =
      slots[otherSlot(live)].ready?.status === 200
        ? `\`frame rollback ${id}\` goes back to the other slot, which is ready.`
        : 'The other slot is not ready either, so look at Postgres there first.';
    return broken(
      `Its live slot ${live} (${release ?? 'no release'}) ${ready ? `is not ready (${ready.status})` : 'does not answer'}.`,
      `\`frame slot status ${id}\` says why. ${back}`,
    );
  }
  if (proxy?.slot === live) return undefined;
  return broken(
    proxy ? `Its proxy answers ${proxy.status}, and not from ${live}, which is live.` : 'Its proxy does not answer.',
    `\`frame provision ${id}\` sets the proxy right.`,
  );
}

function wellness({ live, slots }: Inspection): string {
  return `On itself it is well: ${live} is live with ${live && slots[live].release}, and the proxy leads there.`;
}

/** Where a fault must be, when the machine knows of none. */
function conclusion(walked: readonly StepReport[]): string {
  const first = walked.find(({ outcome }) => outcome === 'broken')?.step;
  const isBefore = first !== undefined && BEFORE_THE_MACHINE.includes(first);
  return isBefore ? ' So the fault lies before it: name, certificate, Cloudflare, tunnel.' : '';
}

const BEFORE_THE_MACHINE = ['name', 'connection', 'certificate', 'gateway'];
