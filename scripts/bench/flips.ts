import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pass } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Slot } from '../../src/operator/agent/layout.ts';
import { flip } from '../../src/operator/agent/slots.ts';
import { ECHOES, makeSlots, type Slots } from '../../test/caddy/slots.ts';
import { startCaddy } from '../../test/support/caddy.ts';
import { type Asked, type Stream, startLoad } from '../../test/support/flip-load.ts';
import { findFreePort } from './child.ts';

/** What clients lived through while one Caddy sent them back and forth between two slots, in one of two ways. */
export interface Seen {
  /** When each began and was over, as performance.now() has it. */
  flips: readonly { begun: number; over: number }[];
  asked: readonly Asked[];
  streams: readonly Stream[];
}

export const WAYS = ['our flip', 'caddy reload'] as const;
export type Way = (typeof WAYS)[number];

/** `caddy`: the program. `closing` ends everything when nobody waits for this any more. */
export async function watchFlips(way: Way, caddy: string, flips: number, closing: AsyncDisposableStack): Promise<Seen> {
  const opened = closing.use(new AsyncDisposableStack());
  const ports = { blue: await findFreePort(), green: await findFreePort(), proxy: await findFreePort() };
  const slots = opened.use(await makeSlots(ports));
  await Promise.all([slots.start('blue'), slots.start('green')]);
  const { caddyfile, turnTo } = way === 'our flip' ? byLink(slots) : await byReload(slots, caddy);
  const { origin } = opened.use(await startCaddy({ file: caddy, home: slots.layout.home, ports, caddyfile }));
  await turnTo('blue');

  const load = startLoad({ origin, kinds: ECHOES, streams: { count: 8, path: '/events' }, seconds: flips + 30 });
  const times: { begun: number; over: number }[] = [];
  await pass(PAUSE_MS);
  for (let i = 0; i < flips; i += 1) {
    const begun = performance.now();
    await turnTo(i % 2 === 0 ? 'green' : 'blue');
    times.push({ begun, over: performance.now() });
    await pass(PAUSE_MS);
  }
  await load.stop();
  await opened.disposeAsync();
  return { flips: times, asked: load.asked, streams: load.streams };
}

// Private

const PAUSE_MS = 400;

/** How one flips, and what configuration Caddy starts with; without one, the project's. */
interface Flipping {
  caddyfile?: string;
  turnTo(slot: Slot): Promise<unknown>;
}

function byLink({ layout }: Slots): Flipping {
  return { turnTo: slot => flip(layout, slot) };
}

/** What most people do: the other slot's port into the configuration, and a reload. Everything else is as in ours. */
async function byReload({ layout, ports }: Slots, caddy: string): Promise<Flipping> {
  const admin = `127.0.0.1:${await findFreePort()}`;
  const caddyfile = join(layout.home, 'Caddyfile');
  const write = (slot: Slot) => writeFile(caddyfile, reloaded(admin, ports.proxy, ports[slot]));
  await write('blue');
  return {
    caddyfile,
    async turnTo(slot) {
      await write(slot);
      const args = ['reload', '--adapter', 'caddyfile', '--config', caddyfile, '--address', admin];
      await promisify(execFile)(caddy, args, { env: { HOME: layout.home } });
    },
  };
}

const reloaded = (admin: string, proxy: number, slot: number) => `{
	admin ${admin}
	auto_https off
	grace_period 15s
}
http://:${proxy} {
	bind 127.0.0.1
	route {
		@whole header_regexp Content-Length ^\\d{1,6}$
		vars @whole body {http.request.body}
		reverse_proxy 127.0.0.1:${slot} {
			lb_try_duration 15s
			lb_try_interval 100ms
			transport http {
				dial_timeout 2s
				keepalive 30s
			}
		}
	}
}
`;
