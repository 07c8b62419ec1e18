import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostFacts, Provisioned } from '../agent/protocol.ts';
import { type Machine, renderUnits, SCRIPTS, USUAL_PORTS } from '../agent/units.ts';
import type { Platform } from '../release/platform.ts';
import type { Desk } from '../remote/whom.ts';
import type { Wish } from './wish.ts';

/** A file as it will lie on the machine, without the secrets in it. */
export interface ShownFile {
  name: string;
  mode: string;
  text: string;
}

/** Every file that `provision` writes. */
export async function previewFiles({ request, part }: Wish, host: HostFacts, machine: Machine): Promise<ShownFile[]> {
  const units = Object.entries(renderUnits(machine, host));
  return [
    { name: 'proxy/Caddyfile', mode: '644', text: request.proxy.caddyfile },
    { name: 'proxy/services.caddy', mode: '644', text: request.proxy.services },
    ...(await Promise.all(SCRIPTS.map(showScript))),
    ...units.map(([name, text]) => ({ name: `units/${name}`, mode: '644', text })),
    { name: 'state/host.json', mode: '600', text: `${JSON.stringify(host, null, 2)}\n` },
    { name: 'shared/master.key', mode: '600', text: '… (32 random bytes, made there once)\n' },
    { name: 'shared/env', mode: '600', text: showEnv(request.customer, part.variables) },
    { name: 'shared/customers.yaml', mode: '600', text: part.shown },
  ];
}

/** What a machine that was not asked will most likely say of itself. */
export function guessMachine(
  { request, customer }: Wish,
  { config }: Desk,
  os: Platform['os'] = 'darwin',
): Pick<Provisioned, 'host' | 'home' | 'user'> {
  const { ports = USUAL_PORTS, supervisor = os === 'darwin' ? 'launchd' : 'systemd' } = request;
  const user = /^(.+)@/.exec(customer.host)?.[1] ?? 'frame';
  const login = os === 'darwin' ? `/Users/${user}` : `/home/${user}`;
  const home = config.home.replaceAll('{customer}', customer.id);
  return {
    host: { customer: customer.id, ports, supervisor },
    home: home.startsWith('/') ? home : join(login, home),
    user,
  };
}

// Private

async function showScript(name: string): Promise<ShownFile> {
  const text = await readFile(join(import.meta.dirname, `../agent/${name}.sh`), 'utf8');
  return { name: `bin/${name}`, mode: '755', text };
}

function showEnv(customer: string, secrets: readonly string[]): string {
  const lines = [`FRAME_CUSTOMER=${customer}`, ...['FRAME_DATABASE_URL', ...secrets].map(name => `${name}=…`)];
  return `${lines.join('\n')}\n`;
}
