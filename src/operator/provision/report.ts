import { handOver } from '../agent/chores.ts';
import type { Chore, Provisioned } from '../agent/protocol.ts';
import { renderUnits } from '../agent/units.ts';
import { plain, plainLines } from '../remote/plain.ts';
import { choresByHand } from './by-hand.ts';
import type { ShownFile } from './preview.ts';
import { tunnelIngress } from './tunnel.ts';
import type { Wish } from './wish.ts';

/** What came of it, or would. */
export interface Report {
  wish: Wish;
  machine: Pick<Provisioned, 'host' | 'home' | 'user'>;
  outcome?: Pick<Provisioned, 'done' | 'left'>;
  /** Why there is no outcome: the machine was not asked. */
  unasked?: string;
  /** Of a dry run. */
  files?: readonly ShownFile[];
}

export function toText({ wish, machine, outcome, unasked, files }: Report): string[] {
  const { host, home, user } = machine;
  const { blue, green, proxy } = host.ports;
  const lines = [
    `${wish.customer.id} on ${wish.customer.host}: ${plain(home)} of ${plain(user)}, ${host.supervisor}, ports ${blue} ${green} ${proxy}`,
  ];
  if (unasked !== undefined)
    lines.push(`The machine was not asked (${plain(unasked)}); its folder and login are a guess.`);
  for (const file of files ?? []) {
    lines.push('', `==> ${plain(file.name)} (${file.mode})`, ...wholeLines(file.text));
  }
  if (outcome) lines.push('', ...changesOf(outcome.done, files !== undefined));
  const left = outcome?.left ?? leftAnyway(machine);
  if (left.length > 0) lines.push('', 'Left to do there:', ...listOf(left));
  const byHand = choresByHand(wish.customer, host, home);
  lines.push('', 'Once, by hand; nobody can see from here whether it is done:', ...listOf(byHand));
  lines.push('', "The tunnel's part, for cloudflared's config.yml:", ...indent(ingressOf(wish, machine)));
  return lines;
}

export function toJson({ wish, machine, outcome, unasked, files }: Report): object {
  const { ports, supervisor } = machine.host;
  return {
    customer: wish.customer.id,
    host: wish.customer.host,
    result: files ? 'planned' : 'provisioned',
    home: machine.home,
    user: machine.user,
    ports,
    supervisor,
    changed: outcome?.done ?? null,
    left: outcome?.left ?? leftAnyway(machine),
    by_hand: choresByHand(wish.customer, machine.host, machine.home),
    ingress: ingressOf(wish, machine),
    ...(unasked !== undefined && { unasked }),
    ...(files && { files }),
  };
}

// Private

/** Tabs are harmless, and a Caddyfile lives on them. */
function wholeLines(text: string): string[] {
  return text
    .trimEnd()
    .split('\n')
    .map(line => line.split('\t').map(plain).join('\t'));
}

/** Of a machine that was not asked. */
function leftAnyway({ host, ...machine }: Report['machine']): Chore[] {
  const { supervisor } = host;
  return supervisor === 'none' ? [] : [handOver(supervisor, Object.keys(renderUnits(machine, host)), machine, true)];
}

function changesOf(done: readonly string[], isPlan: boolean): string[] {
  if (done.length === 0) return [isPlan ? 'Nothing would change.' : 'Nothing changed.'];
  return [isPlan ? 'Would change:' : 'Changed:', ...done.map(line => `  ${plain(line)}`)];
}

function listOf(chores: readonly Chore[]): string[] {
  return chores.flatMap(({ sentence, commands }, i) => [
    `  ${i + 1}. ${plain(sentence)}`,
    ...commands.map(command => `       ${plain(command)}`),
  ]);
}

function ingressOf({ customer }: Wish, { host }: Report['machine']): string {
  return tunnelIngress(customer.origin, host.ports.proxy);
}

function indent(text: string): string[] {
  return plainLines(text).map(line => `  ${line}`);
}
