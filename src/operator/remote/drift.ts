import { parseHostPort } from '../../address.ts';
import { otherSlot, SLOTS } from '../agent/layout.ts';
import type { HistoryLine, Inspection, Provisioned } from '../agent/protocol.ts';
import { type Drift, drift, note } from './difference.ts';
import { age } from './measure.ts';
import { isReady, ofSlot } from './slot-drift.ts';

/** What a machine should be, by customers.yaml and git. */
export interface Expected {
  customer: string;
  /** What one types after `ssh` to get to its machine. */
  host: string;
  /** As the operator named it (`v2`), and the release that it makes. */
  ref: string;
  release: string;
  /** sha256 of this customer's part of customers.yaml, and the variables that it reads. */
  customersDigest: string;
  variables: readonly string[];
  /** Other services on this machine, name → host:port. */
  services: Readonly<Record<string, string>>;
}

/** What was seen of it; `plan`: what provisioning would do there now. */
export interface Seen {
  found: Inspection;
  plan?: Pick<Provisioned, 'done' | 'left'>;
}

/** What `deploy` and `status` mean when nobody names a ref: what is checked out. */
export const DEFAULT_REF = 'HEAD';

/** Every difference, the gravest first; what is only worth knowing comes last. */
export function findDrifts(expected: Expected, { found, plan }: Seen): Drift[] {
  const { customer } = expected;
  if (found.host.customer !== customer) {
    // Of another company's machine nothing else is worth a word.
    const sentence = `The machine was provisioned for \`${found.host.customer}\`, not for \`${customer}\`:`;
    const mended = `${sentence} correct \`host\` in customers.yaml, and look again.`;
    return [drift('machine', mended, `frame status ${customer}`)];
  }
  const all = [
    ...ofLive(customer, found),
    ...ofProxy(customer, found),
    ...ofRelease(expected, found),
    ...SLOTS.flatMap(slot => ofSlot(slot, expected, found)),
    ...ofCustomers(expected, found),
    ...ofPorts(expected, found),
    ...(plan ? ofPlan(customer, plan) : []),
    ...ofHistory(customer, found.history),
    ...ofLock(customer, found),
  ];
  return [...all.filter(({ kind }) => kind === 'drift'), ...all.filter(({ kind }) => kind === 'note')];
}

// Private

function ofLive(customer: string, { live, slots }: Inspection): Drift[] {
  if (live) return [];
  const isNew = SLOTS.every(slot => slots[slot].release === undefined);
  const sentence = isNew ? 'No release was ever deployed there.' : 'No slot is live: everybody is answered 503.';
  return [drift('machine', sentence, `frame deploy ${customer}`)];
}

function ofProxy(customer: string, { host, live, slots, proxy }: Inspection): Drift[] {
  if (!live) return [];
  if (!proxy) {
    const sentence = `Nobody listens on the proxy's port ${host.ports.proxy}: everybody is shut out.`;
    return [drift('proxy', sentence, `frame provision ${customer}`)];
  }
  if (proxy.slot === undefined) {
    const seen = proxy.status === 0 ? 'comes no answer' : `comes ${proxy.status}, and not from a slot`;
    return [drift('proxy', `Through the proxy ${seen}.`, `frame slot status ${customer}`)];
  }
  if (proxy.slot !== live) {
    const sentence = `Through the proxy answers ${proxy.slot}, but ${live} is live.`;
    return [drift('proxy', sentence, `frame provision ${customer}`)];
  }
  const { release } = slots[live];
  if (proxy.release === release) return [];
  const sentence = `Through the proxy answers release ${proxy.release ?? 'unknown'}, but ${live} holds ${release}.`;
  return [drift('proxy', sentence, `frame slot status ${customer}`)];
}

function ofRelease({ customer, ref, release }: Expected, { live, slots, history }: Inspection): Drift[] {
  if (!live || slots[live].release === release) return [];
  const sentence = `Release ${slots[live].release ?? 'unknown'} is live, but ${ref} is ${release}`;
  const last = history.findLast(({ to }) => to === release);
  if (last && FELL_BACK.has(last.result)) {
    const why = last.reason ? `: ${last.reason}` : '.';
    return [drift('release', `${sentence}, which was tried and did not stay${why}`, deployOf(customer, ref))];
  }
  const idle = otherSlot(live);
  if (slots[idle].release === release && isReady(slots[idle])) {
    return [drift('release', `${sentence}, which waits in ${idle}.`, `frame promote ${customer}`)];
  }
  return [drift('release', `${sentence}.`, deployOf(customer, ref))];
}

const FELL_BACK: ReadonlySet<HistoryLine['result']> = new Set(['gate-failed', 'reverted']);

/** Of shared/env, whatever customers.yaml reads. */
const NEEDED = ['FRAME_CUSTOMER', 'FRAME_DATABASE_URL'];

function ofCustomers({ customer, ref, customersDigest, variables }: Expected, found: Inspection): Drift[] {
  const missing = variables.filter(name => !found.envNames.includes(name));
  const unset = [
    ...missing.map(name =>
      drift(
        'env',
        `customers.yaml reads ${name}, which nobody has set there.`,
        `${name}=… frame provision ${customer}`,
      ),
    ),
    ...NEEDED.filter(name => !found.envNames.includes(name)).map(name =>
      drift('env', `shared/env there lacks ${name}, without which no slot starts.`, `frame provision ${customer}`),
    ),
  ];
  if (found.files.customers === customersDigest) return unset;
  const sentence =
    found.files.customers === undefined
      ? 'There is no customers.yaml there.'
      : "This customer's part of customers.yaml is another one there than here.";
  return [drift('customers', sentence, deployOf(customer, ref)), ...unset];
}

/** Ports are the machine's own affair; customers.yaml may have promised them to somebody else. */
function ofPorts({ customer, services }: Expected, { host }: Inspection): Drift[] {
  return Object.entries(services).flatMap(([service, address]) => {
    const port = parseHostPort(address)?.port;
    const owner = (['blue', 'green', 'proxy'] as const).find(name => host.ports[name] === port);
    if (!owner) return [];
    const sentence = `The port ${port} of the service \`${service}\` is that of ${owner} there`;
    const mended = `${sentence}: give the service another one in customers.yaml, and provision.`;
    return [drift('machine', mended, `frame provision ${customer}`)];
  });
}

function ofPlan(customer: string, { done, left }: Pick<Provisioned, 'done' | 'left'>): Drift[] {
  const changes = done
    .map(line => line.split('  '))
    // Compared above; a deploy proves a new one before anybody meets it.
    .filter(([what]) => what !== 'shared/customers.yaml')
    .map(([what, deed = 'changed']) =>
      drift('machine', `${what} is not as it should be; it would be ${deed}.`, `frame provision ${customer}`),
    );
  // Neither customers.yaml nor git says so: the age of its Caddy, say.
  return [...changes, ...left.map(({ sentence, commands }) => note('machine', sentence, ...commands))];
}

function ofHistory(customer: string, history: readonly HistoryLine[]): Drift[] {
  const last = history.at(-1);
  if (last?.result !== 'interrupted') return [];
  const sentence = `The last ${last.verb}, by ${last.by} at ${last.at}, was interrupted.`;
  return [drift('history', sentence, settlingOf(last.verb, customer))];
}

function ofLock(customer: string, { lock }: Inspection): Drift[] {
  if (!lock) return [];
  const since = age(lock.ageSeconds);
  if (lock.alive) {
    const sentence = `${lock.by} works there now: ${lock.verb}, for ${since}.`;
    return [note('lock', sentence, `frame slot status ${customer}`)];
  }
  const sentence = `${lock.by} left a lock behind ${since} ago: ${lock.verb} was killed. The next command takes it, and sets right what is half done.`;
  return [drift('lock', sentence, settlingOf(lock.verb, customer))];
}

/** The same again goes on; but one that was killed after its flip would move traffic once more, and back. */
function settlingOf(verb: string, customer: string): string {
  return verb === 'deploy' || verb === 'provision' ? `frame ${verb} ${customer}` : `frame slot cleanup ${customer}`;
}

/** The line is there to be copied into a shell, and git allows `$(…)` in the name of a branch. */
function deployOf(customer: string, ref: string): string {
  if (ref === DEFAULT_REF) return `frame deploy ${customer}`;
  return `frame deploy ${customer} --ref ${/^[\w./@-]+$/.test(ref) ? ref : `'${ref.replaceAll("'", `'\\''`)}'`}`;
}
