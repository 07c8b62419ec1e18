import { SLOTS, type Slot } from '../agent/layout.ts';
import type { Inspection } from '../agent/protocol.ts';
import { age, inColumns, size } from '../remote/measure.ts';
import { plain } from '../remote/plain.ts';
import { type Examination, isInspection, type Outside } from './examination.ts';
import { failedChecks, type State, type Verdict } from './judge.ts';
import type { TailnetNode } from './tailnet.ts';

/** What was seen and what it comes to, for people and for programs. */
export interface Report extends Examination, Verdict {}

/** The table, and below it what is not well. Text of other machines is made plain. */
export function toText(
  reports: readonly Report[],
  now: number,
  paint: (state: State, text: string) => string,
): string[] {
  const rows = reports.map(report => rowOf(report, now).map(plain));
  const at = Math.max(HEAD[0].length, ...reports.map(({ customer }) => customer.id.length)) + 2;
  const [head = '', ...lines] = inColumns([[...HEAD], ...rows]);
  const table = lines.map((line, i) => {
    const { state } = reports[i] ?? { state: 'ok' };
    return `${line.slice(0, at)}${paint(state, line.slice(at, at + state.length))}${line.slice(at + state.length)}`;
  });
  return [head, ...table, ...reports.filter(({ complaints }) => complaints.length > 0).flatMap(detailsOf)];
}

export function toJson({ customer, state, complaints, machine, outside, node }: Report) {
  return {
    customer: customer.id,
    host: customer.host,
    state,
    complaints,
    machine: isInspection(machine) ? machineToJson(machine) : null,
    public: outside && customer.origin !== undefined ? publicToJson(customer.origin, outside) : null,
    tailnet: node ? nodeToJson(node) : null,
  };
}

// Private

const HEAD = [
  'CUSTOMER',
  'STATE',
  'LIVE',
  'RELEASE',
  'AGE',
  'BLUE',
  'GREEN',
  'PROXY',
  'CHECKS',
  'DISK',
  'PUBLIC',
  'CERT',
  'TAILNET',
] as const;

const NOTHING = '-';

function detailsOf({ customer, complaints }: Report): string[] {
  const lines = complaints.flatMap(({ sentence, mend }) => [
    `  ${sentence}`,
    ...mend.map(command => `      ${command}`),
  ]);
  return ['', customer.id, ...lines.map(plain)];
}

function rowOf({ customer, state, machine, outside, node }: Report, now: number): string[] {
  const inside = isInspection(machine)
    ? insideOf(machine, now)
    : Array.from({ length: HEAD.indexOf('PUBLIC') - 2 }, () => '?');
  return [customer.id, state, ...inside, publicOf(outside), certificateOf(outside), nodeOf(node)];
}

function insideOf(machine: Inspection, now: number): string[] {
  const { live, slots, proxy, disk } = machine;
  const release = live && slots[live].release;
  const failed = live ? failedChecks(machine, live) : [];
  return [
    live ?? 'none',
    release ?? NOTHING,
    ageOf(release, now),
    ...SLOTS.map(slot => slotOf(machine, slot)),
    proxy ? String(proxy.slot ?? proxy.status) : 'down',
    failed.length > 0 ? `no ${failed.join(', ')}` : live && slots[live].ready ? 'ok' : NOTHING,
    size(disk.freeBytes),
  ];
}

/** Release names begin with the time of their commit: `20261120T135514Z-aaae36e`. */
function ageOf(release: string | undefined, now: number): string {
  const [, year, month, day, hour, minute, second] =
    /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z/.exec(release ?? '')?.map(Number) ?? [];
  if (year === undefined || month === undefined) return NOTHING;
  return age((now - Date.UTC(year, month - 1, day, hour, minute, second)) / 1000);
}

function slotOf({ slots }: Inspection, slot: Slot): string {
  const { release, held, ready } = slots[slot];
  if (release === undefined) return NOTHING;
  if (held) return 'stopped';
  if (!ready) return 'down';
  return ready.status === 200 ? 'ready' : 'not ready';
}

function publicOf(outside: Outside | undefined): string {
  if (!outside) return NOTHING;
  return outside.fault === undefined ? 'ok' : String(outside.status ?? 'down');
}

function certificateOf(outside: Outside | undefined): string {
  const { certificate } = outside ?? {};
  if (!certificate) return NOTHING;
  return certificate.fault ? 'bad' : `${certificate.daysLeft} days`;
}

function nodeOf(node: TailnetNode | undefined): string {
  if (!node) return NOTHING;
  if (node.isExpired) return 'expired';
  return node.isOnline ? 'online' : 'offline';
}

function machineToJson({ live, slots, proxy, disk, lock, releases, history }: Inspection) {
  return {
    live: live ?? null,
    release: (live && slots[live].release) ?? null,
    slots: Object.fromEntries(
      SLOTS.map(slot => {
        const { release, pid, held, ready } = slots[slot];
        const isReady = ready?.status === 200;
        return [slot, { release: release ?? null, pid: pid ?? null, held, ready: isReady, says: ready?.body ?? null }];
      }),
    ),
    proxy: proxy ?? null,
    disk: { free_bytes: disk.freeBytes, total_bytes: disk.totalBytes },
    lock: lock ? { by: lock.by, verb: lock.verb, age_seconds: lock.ageSeconds, alive: lock.alive } : null,
    releases,
    last: history.at(-1) ?? null,
  };
}

function publicToJson(origin: string, { certificate, status, release, fault }: Outside) {
  return {
    origin,
    ok: fault === undefined,
    fault: fault ?? null,
    status: status ?? null,
    release: release ?? null,
    certificate: certificate
      ? { days_left: certificate.daysLeft, until: iso(certificate.until), fault: certificate.fault ?? null }
      : null,
  };
}

function nodeToJson({ name, isOnline, isExpired, keyExpiry, lastSeen }: TailnetNode) {
  return {
    name,
    online: isOnline,
    expired: isExpired,
    key_expiry: keyExpiry === undefined ? null : iso(keyExpiry),
    last_seen: lastSeen === undefined ? null : iso(lastSeen),
  };
}

function iso(time: number): string {
  return new Date(time).toISOString();
}
