import { join } from 'node:path';

/**
 * Where everything lies on a customer's machine, below one folder ($FRAME_HOME). `state/live` is the only truth of who
 * serves: Caddy looks at it on every request.
 *
 *     agent/<hash>/                what the laptop speaks with, one folder per version
 *     bin/node  bin/run-slot       runs the agent; runs one slot
 *     bin/run-proxy  bin/rotate-logs
 *     releases/<utc>-<sha7>/       immutable, with release.json; `*.partial` is an unfinished upload
 *     slots/blue/  slots/green/    a marker file of the slot's own name, `release` → ../../releases/<id>, `pid`, `began`
 *                                  since it last became a gateway, and `hold` while it must not run
 *     state/live                   → ../slots/blue | ../slots/green
 *     state/deploy.lock  state/journal.json  state/history.ndjson  state/host.json
 *     shared/env  shared/customers.yaml  shared/master.key          0600
 *     proxy/Caddyfile  proxy/services.caddy  proxy/pid  units/  log/
 */
export interface Layout {
  home: string;
  agents: string;
  node: string;
  runSlot: string;
  runProxy: string;
  rotateLogs: string;
  releases: string;
  release(id: string): string;
  slot(slot: Slot): SlotPaths;
  live: string;
  lock: string;
  journal: string;
  history: string;
  /** HostFacts, written by `provision`. */
  host: string;
  env: string;
  customers: string;
  masterKey: string;
  caddyfile: string;
  services: string;
  /** Of Caddy, as long as run-proxy started it. */
  proxyPid: string;
  units: string;
  log(name: 'blue' | 'green' | 'proxy'): string;
  /** As old as the last look after the logs. */
  rotated: string;
}

export interface SlotPaths {
  folder: string;
  /** Empty; Caddy's matcher looks for it below `state/live`. */
  marker: string;
  /** Link to the release that this slot runs. */
  release: string;
  /** While it is there, the slot waits instead of running. */
  hold: string;
  /** Of whoever runs the slot now: run-slot while it waits, then the gateway, which has the same one. */
  pid: string;
  /** Empty; as old as the gateway that runs, or ran last. */
  began: string;
}

export const SLOTS = ['blue', 'green'] as const;
export type Slot = (typeof SLOTS)[number];

export function otherSlot(slot: Slot): Slot {
  return slot === 'blue' ? 'green' : 'blue';
}

export function layoutOf(home: string): Layout {
  const at = (...parts: string[]) => join(home, ...parts);
  return {
    home,
    agents: at('agent'),
    node: at('bin', 'node'),
    runSlot: at('bin', 'run-slot'),
    runProxy: at('bin', 'run-proxy'),
    rotateLogs: at('bin', 'rotate-logs'),
    releases: at('releases'),
    release: id => at('releases', id),
    slot: slot => ({
      folder: at('slots', slot),
      marker: at('slots', slot, slot),
      release: at('slots', slot, 'release'),
      hold: at('slots', slot, 'hold'),
      pid: at('slots', slot, 'pid'),
      began: at('slots', slot, 'began'),
    }),
    live: at('state', 'live'),
    lock: at('state', 'deploy.lock'),
    journal: at('state', 'journal.json'),
    history: at('state', 'history.ndjson'),
    host: at('state', 'host.json'),
    env: at('shared', 'env'),
    customers: at('shared', 'customers.yaml'),
    masterKey: at('shared', 'master.key'),
    caddyfile: at('proxy', 'Caddyfile'),
    services: at('proxy', 'services.caddy'),
    proxyPid: at('proxy', 'pid'),
    units: at('units'),
    log: name => at('log', `${name}.log`),
    rotated: at('log', 'rotated'),
  };
}
