import { SLOTS, type Slot } from '../agent/layout.ts';
import type { HistoryLine, Inspection, SlotState } from '../agent/protocol.ts';
import { age, duration, inColumns, size } from './measure.ts';
import { plain, plainLines } from './plain.ts';
import type { Looked } from './survey.ts';

/** All customers' slots on one screen; the live one is marked. */
export function listOf(all: readonly Looked[]): string[] {
  const rows = all.flatMap(looked => {
    if ('failure' in looked)
      return [[looked.customer, '', '', `${looked.result}: ${plainLines(looked.failure.message)[0]}`]];
    const { customer, found } = looked;
    const owner = found.host.customer;
    if (owner !== customer) return [[customer, '', '', `its host is the machine of ${owner}`]];
    return SLOTS.map((slot, i) => [i === 0 ? customer : '', ...slotRow(found, slot)]);
  });
  return inColumns([['customer', 'slot', 'release', 'state'], ...rows].map(row => row.map(plain)));
}

/** One machine in detail. */
export function detailsOf(customer: string, found: Inspection): string[] {
  const { host, platform, live, proxy, disk, lock, releases, history } = found;
  const facts = [
    [
      'customer',
      found.host.customer === customer ? customer : `${customer}, but it is the machine of ${found.host.customer}`,
    ],
    ['machine', `${platform}, kept alive by ${host.supervisor}`],
    ['live', live ? `${live}: ${found.slots[live].release}` : 'nothing'],
    ...SLOTS.map(slot => [slot, `port ${host.ports[slot]}, ${slotRow(found, slot).slice(1).join(', ')}`]),
    ['proxy', `port ${host.ports.proxy}, ${proxy ? proxyWords(proxy) : 'nobody answers'}`],
    ['disk', `${size(disk.freeBytes)} free of ${size(disk.totalBytes)}`],
    ['lock', lock ? `${lock.verb} of ${lock.by}, ${age(lock.ageSeconds)}${lock.alive ? '' : ', left behind'}` : 'free'],
    ['releases', releases.length > 0 ? releases.join(' ') : 'none'],
  ];
  const past = inColumns(history.slice(-HISTORY_LINES).map(historyRow));
  return [
    ...inColumns(facts.map(row => row.map(plain))),
    ...under('history', past),
    ...SLOTS.flatMap(slot => under(`the last lines of ${slot}`, found.slots[slot].log?.map(plain))),
  ];
}

// Private

const HISTORY_LINES = 10;

function under(heading: string, lines: readonly string[] = []): string[] {
  return lines.length === 0 ? [] : [heading, ...lines.map(line => `  ${line}`)];
}

function slotRow({ live, slots }: Inspection, slot: Slot): [name: string, release: string, state: string] {
  return [slot === live ? `${slot} *` : slot, slots[slot].release ?? 'empty', stateOf(slots[slot])];
}

function stateOf({ release, pid, held, ready }: SlotState): string {
  const process = pid === undefined ? 'of no known process' : `pid ${pid}`;
  // A new machine holds both slots until there is something to run.
  if (release === undefined) return pid === undefined ? 'down' : 'waits for its first release';
  if (held) return 'stopped';
  if (!ready) return pid === undefined ? 'down' : `does not answer, ${process}`;
  return `${ready.status === 200 ? 'ready' : `not ready (${ready.status})`}, ${process}`;
}

function proxyWords({ status, slot, release }: NonNullable<Inspection['proxy']>): string {
  return slot ? `${status} from ${slot}, ${release ?? 'of no release'}` : `${status}, from no slot`;
}

function historyRow({ at, by, verb, from, to, result, ms, reason = '' }: HistoryLine): string[] {
  const way = from || to ? `${from ?? 'nothing'} → ${to ?? 'nothing'}` : '';
  return [at, by, verb, result, duration(ms), way, reason].map(plain);
}
