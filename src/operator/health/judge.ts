import type { DeployConfig } from '../../config/deploy-config.ts';
import { SLOTS } from '../agent/layout.ts';
import type { Inspection } from '../agent/protocol.ts';
import { day } from '../doctor/certificate.ts';
import { DEFAULT_REF, findDrifts } from '../remote/drift.ts';
import { age, size } from '../remote/measure.ts';
import type { Hosted } from '../remote/whom.ts';
import { type Examination, isInspection, type Outside } from './examination.ts';
import type { TailnetNode } from './tailnet.ts';

/** How a customer is, from what was seen. Words only. */
export interface Verdict {
  state: State;
  complaints: Complaint[];
}

export type State = 'ok' | 'degraded' | 'unreachable';

export interface Complaint {
  sentence: string;
  /** The commands that mend it, or help to find out more. */
  mend: readonly string[];
}

export function judge(
  { customer, machine, outside, node }: Examination,
  { minFreeMegabytes }: Pick<DeployConfig, 'minFreeMegabytes'>,
  now: number,
): Verdict {
  const around = [...ofOutside(customer, outside), ...ofNode(node, now)];
  if (!isInspection(machine)) {
    const { isReached, sentence, hint } = machine;
    const complaint =
      hint === undefined
        ? { sentence, mend: [`ssh ${customer.host}`] }
        : { sentence: `${sentence} ${hint}`, mend: commandsIn(hint) };
    return { state: isReached ? 'degraded' : 'unreachable', complaints: [complaint, ...around] };
  }
  const complaints = [
    ...ofMachine(customer, machine),
    ...ofChecks(customer, machine),
    ...ofDisk(customer, machine, minFreeMegabytes),
    ...ofRelease(customer, machine, outside),
    ...around,
  ];
  return { state: complaints.length > 0 ? 'degraded' : 'ok', complaints };
}

/** What a slot says is wrong with it: the names of its checks. */
export function failedChecks({ slots }: Inspection, slot: (typeof SLOTS)[number]): string[] {
  const checks = slots[slot].ready?.body.checks;
  return Object.entries({ ...(checks as object | undefined) }).flatMap(([name, outcome]) =>
    outcome === 'ok' ? [] : [name],
  );
}

// Private

function commandsIn(hint: string): string[] {
  return [...hint.matchAll(/`(frame [^`]+)`/g)].map(([, command = '']) => command);
}

const MIN_DAYS = 14;
const DAY_MS = 86_400_000;

/** What differs on a machine from what the machine itself says that it is. */
function ofMachine({ id, host, services }: Hosted, machine: Inspection): Complaint[] {
  const { live, slots, files } = machine;
  const release = (live && slots[live].release) ?? '';
  const asItIs = { ref: DEFAULT_REF, release, customersDigest: files.customers ?? '', variables: [] };
  return findDrifts({ customer: id, host, services, ...asItIs }, { found: machine })
    .filter(({ kind }) => kind === 'drift')
    .map(({ sentence, mend }) => ({ sentence, mend }));
}

function ofChecks({ id }: Hosted, machine: Inspection): Complaint[] {
  return SLOTS.flatMap(slot => {
    const failed = failedChecks(machine, slot);
    if (failed.length === 0) return [];
    return [{ sentence: `${slot} says that it fails: ${failed.join(', ')}.`, mend: [`frame slot status ${id}`] }];
  });
}

/** Twice what a deploy needs: there is time to make room before one is refused. */
function ofDisk({ id }: Hosted, { disk: { freeBytes } }: Inspection, minFreeMegabytes: number): Complaint[] {
  if (freeBytes >= 2e6 * minFreeMegabytes) return [];
  const sentence = `${size(freeBytes)} are free on its disk, and a deploy is refused below ${size(minFreeMegabytes * 1e6)}.`;
  return [{ sentence, mend: [`frame slot cleanup ${id}`] }];
}

/** While a verb runs there, what is live may have changed between the two looks. */
function ofRelease({ id }: Hosted, { live, slots, lock }: Inspection, outside: Outside | undefined): Complaint[] {
  const released = live && slots[live].release;
  if (lock?.alive || !released || outside?.release === undefined || outside.release === released) return [];
  const sentence = `From here, release ${outside.release} answers, but ${released} is live on the machine.`;
  return [{ sentence, mend: [`frame doctor ${id}`] }];
}

function ofOutside({ id }: Hosted, outside: Outside | undefined): Complaint[] {
  if (!outside) return [];
  const { certificate, fault } = outside;
  const mend = [`frame doctor ${id}`];
  // Without a good certificate there is no answer, and that is no news.
  if (certificate?.fault !== undefined) return [{ sentence: certificate.fault, mend }];
  const complaints = fault === undefined ? [] : [{ sentence: fault, mend }];
  if (certificate && certificate.daysLeft < MIN_DAYS) {
    const sentence = `Its certificate ends in ${certificate.daysLeft} days, on ${day(certificate.until)}.`;
    complaints.push({ sentence, mend });
  }
  return complaints;
}

function ofNode(node: TailnetNode | undefined, now: number): Complaint[] {
  if (!node) return [];
  const { name, isOnline, isExpired, keyExpiry, lastSeen } = node;
  const forGood = 'in the admin console of the tailnet, disable key expiry for this machine';
  if (isExpired || (keyExpiry !== undefined && keyExpiry <= now)) {
    return [
      { sentence: `Its key in the tailnet has expired (${name}): sign it in again there; ${forGood}.`, mend: [] },
    ];
  }
  const complaints: Complaint[] = [];
  if (!isOnline) {
    const since = lastSeen === undefined ? '' : `, for ${age((now - lastSeen) / 1000)}`;
    complaints.push({ sentence: `It is offline in the tailnet (${name})${since}.`, mend: [`tailscale ping ${name}`] });
  }
  if (keyExpiry !== undefined && keyExpiry - now < MIN_DAYS * DAY_MS) {
    complaints.push({ sentence: `Its key in the tailnet ends on ${day(keyExpiry)} (${name}): ${forGood}.`, mend: [] });
  }
  return complaints;
}
