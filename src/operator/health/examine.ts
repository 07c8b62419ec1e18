import { FrameError } from '../../errors.ts';
import type { Inspection } from '../agent/protocol.ts';
import { daysLeft, faultOf } from '../doctor/certificate.ts';
import { judgeGateway } from '../doctor/gateway.ts';
import { type Network, NoAnswer, toNoAnswer } from '../doctor/network.ts';
import { inLanes } from '../remote/lanes.ts';
import { verdictOn } from '../remote/outcome.ts';
import type { Patience } from '../remote/reach.ts';
import type { Hosted } from '../remote/whom.ts';
import type { Examination, Outside, Unasked } from './examination.ts';
import type { Inspect } from './inspect.ts';
import type { Tailnet } from './tailnet.ts';

/** Looks at all customers, eight at once. A machine that says nothing holds up its own row only, and not for long. */
export interface Means {
  inspect: Inspect;
  network: Network;
  readTailnet(): Promise<Tailnet>;
  /** As long as ssh waits for a machine. */
  connectSeconds: number;
  /** Milliseconds since 1970. */
  now(): number;
}

export async function examineAll(
  customers: readonly Hosted[],
  means: Means,
): Promise<{ examinations: Examination[]; remark?: string }> {
  const reading = means.readTailnet();
  const seen = await inLanes(customers, customer => examine(customer, means));
  const { find, remark } = await reading;
  const examinations = seen.map(each => ({ ...each, node: find(each.customer.host) }));
  return { examinations, ...(remark !== undefined && { remark }) };
}

// Private

/** Beyond the time to connect: to inspect, where a slot that hangs alone takes two. */
const MORE_SECONDS = 2;

async function examine(customer: Hosted, means: Means): Promise<Omit<Examination, 'node'>> {
  const { host, origin } = customer;
  const seconds = means.connectSeconds + MORE_SECONDS;
  const late = `no answer within ${seconds} s.`;
  const tooLate = new AbortController();
  let isReached = false;
  const onReached = () => {
    isReached = true;
  };
  const inside = lookInside(customer, means, { signal: tooLate.signal, onReached });
  const lookOutside = async () => origin && lookFromOutside(customer, origin, means);
  const [machine, outside] = await Promise.all([
    within(seconds, inside, () => {
      tooLate.abort(new FrameError('deploy/unreachable', `${host} gave ${late}`));
      return { isReached, sentence: isReached ? `${host} was reached, and gave ${late}` : `${host} gave ${late}` };
    }),
    within(seconds, lookOutside(), () => ({ fault: `From here, ${origin} gave ${late}` })),
  ]);
  return { customer, machine, outside: outside || undefined };
}

async function lookInside(customer: Hosted, { inspect }: Means, patience: Patience): Promise<Inspection | Unasked> {
  try {
    return await inspect(customer, patience);
  } catch (thrown) {
    const { result, failure } = verdictOn(thrown);
    return { isReached: result !== 'unreachable', sentence: failure.message, hint: failure.hint };
  }
}

async function lookFromOutside(customer: Hosted, origin: string, { network, now }: Means): Promise<Outside> {
  const [certificate, reply] = await Promise.all([
    lookAtCertificate(origin, network, now()),
    network.ask(`${origin}/frame/ready`).catch(toNoAnswer),
  ]);
  if (reply instanceof NoAnswer)
    return { certificate, fault: `From here, ${origin} gave no answer: ${reply.message}.` };
  const [release] = reply.all('x-frame-release');
  const { outcome, seen } = judgeGateway(reply, customer, origin);
  return { certificate, status: reply.status, release, fault: outcome === 'ok' ? undefined : seen };
}

async function lookAtCertificate(origin: string, network: Network, now: number): Promise<Outside['certificate']> {
  const { hostname, protocol } = new URL(origin);
  if (protocol === 'http:') return undefined;
  const shown = await network.handshake(origin).catch(toNoAnswer);
  if (shown instanceof NoAnswer) return undefined;
  return { daysLeft: daysLeft(shown, now), until: shown.validTo, fault: faultOf(shown, hostname, now)?.seen };
}

/** Whoever is late is waited for no longer. */
async function within<T>(seconds: number, work: Promise<T>, instead: () => T): Promise<T> {
  const late = Promise.withResolvers<T>();
  const timer = setTimeout(() => late.resolve(instead()), seconds * 1000);
  return Promise.race([work, late.promise]).finally(() => clearTimeout(timer));
}
