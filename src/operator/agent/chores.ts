import { stat } from 'node:fs/promises';
import { uptime } from 'node:os';
import { join } from 'node:path';
import { readIfThere } from './durable.ts';
import { type Layout, SLOTS } from './layout.ts';
import { isPortOpen } from './loopback.ts';
import { runProgram } from './programs.ts';
import type { Chore, HostFacts } from './protocol.ts';
import { runningProxy } from './restart-proxy.ts';
import { runnerOf } from './slots.ts';
import { type Machine, renderUnits, UNIT_FOLDERS } from './units.ts';

/** What this machine still lacks and only a person with more rights can give it. */
export async function choresOfMachine(
  layout: Layout,
  machine: Machine,
  host: HostFacts,
  caddy: string | undefined,
): Promise<Chore[]> {
  const { supervisor } = host;
  return [
    ...(await choresOfCaddy(caddy)),
    ...(supervisor === 'none'
      ? await runThem(layout, machine, host)
      : await installUnits(layout, supervisor, machine, host)),
    ...(await choresOfPort(layout, host)),
    ...choresOfRoot(),
  ];
}

/** How units get where their supervisor reads them. `isNew`: none of them is there yet. */
export function handOver(
  supervisor: 'launchd' | 'systemd',
  names: readonly string[],
  { home }: Machine,
  isNew: boolean,
): Chore {
  const files = names.map(name => quote(`${home}/units/${name}`)).join(' ');
  return supervisor === 'launchd' ? toLaunchd(names, files, isNew) : toSystemd(names, files, isNew);
}

/** For what is installed and does not run. */
export function wake(supervisor: 'launchd' | 'systemd', names: readonly Runner[]): Chore {
  const commands =
    supervisor === 'launchd'
      ? names.map(wakeOnLaunchd)
      : [`sudo systemctl enable --now ${names.map(name => `frame-${name}.service`).join(' ')}`];
  const logs = names.map(name => `log/${name}.log`).join(', ');
  return {
    sentence: `Installed, and not running: ${names.join(', ')}. Start it; if it ends again, ${logs} says why:`,
    commands,
  };
}

/** The rotation runs once an hour and is gone in between: only what it leaves behind tells that it still comes round. */
export function choresOfLogs(
  supervisor: 'launchd' | 'systemd',
  { installedAt, rotatedAt }: { installedAt: number; rotatedAt: number },
  now: number,
): Chore[] {
  if (now - Math.max(installedAt, rotatedAt) < ROTATION_MS) return [];
  const sentence =
    'Nobody has looked after the logs for hours, so they grow until the disk is full. Start their rotation:';
  const unit = `${UNIT_FOLDERS.launchd}/${ROTATION.launchd}`;
  const commands = {
    launchd: [`sudo launchctl bootstrap system ${unit} || sudo launchctl kickstart -k system/ai.frame.logs`],
    systemd: [`sudo systemctl enable --now ${ROTATION.systemd}`],
  };
  return [{ sentence, commands: commands[supervisor] }];
}

/** Where no supervisor does it. */
export function startByHand({ home }: Machine, ports: HostFacts['ports'], name: Runner): string {
  const [script, ...args] =
    name === 'proxy' ? ['run-proxy', ports.blue, ports.green, ports.proxy] : ['run-slot', name, ports[name]];
  return `sh ${quote(`${home}/bin/${script}`)} ${args.join(' ')}`;
}

/** A word for a shell. */
export function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

// Private

/** One that is loaded and crashes cannot be loaded again. */
function wakeOnLaunchd(name: Runner): string {
  const load = `sudo launchctl bootstrap system ${UNIT_FOLDERS.launchd}/ai.frame.${name}.plist`;
  return `${load} || sudo launchctl kickstart -k system/ai.frame.${name}`;
}

const ROTATION = { launchd: 'ai.frame.logs.plist', systemd: 'frame-logs.timer' } as const;
const ROTATION_MS = 3 * 3_600_000;

const RUNNERS = [...SLOTS, 'proxy'] as const;

type Runner = (typeof RUNNERS)[number];

const IS_MAC = process.platform === 'darwin';

async function choresOfCaddy(caddy: string | undefined): Promise<Chore[]> {
  if (!caddy) {
    // Debian's package starts a server of its own.
    const debian = ['sudo apt-get install -y caddy', 'sudo systemctl disable --now caddy'];
    const sentence = 'Caddy is not on this machine. Install it, then provision again, which checks the files for it:';
    return [{ sentence, commands: IS_MAC ? ['brew install caddy'] : debian }];
  }
  const { out } = await runProgram(caddy, ['version']);
  const minor = /^v?2\.(\d+)\./.exec(out)?.[1];
  if (minor === undefined || Number(minor) >= WHOLE_ANSWERS_SINCE) return [];
  const source = IS_MAC ? '' : ' (from https://caddyserver.com/docs/install)';
  const sentence = `Caddy 2.${minor} ends the answer of a slot that crashed as if it were whole; use 2.${WHOLE_ANSWERS_SINCE} or newer${source}:`;
  return [{ sentence, commands: [IS_MAC ? 'brew upgrade caddy' : 'sudo apt-get install -y caddy'] }];
}

const WHOLE_ANSWERS_SINCE = 9;

/** Without a supervisor, nobody but a person knows how they are kept alive; those that run are. */
async function runThem(layout: Layout, machine: Machine, { ports }: HostFacts): Promise<Chore[]> {
  const asleep = await findAsleep(layout);
  if (asleep.length === 0) return [];
  const commands = asleep.map(name => startByHand(machine, ports, name));
  return [{ sentence: 'Keep these running; each is to be started again whenever it ends:', commands }];
}

async function findAsleep(layout: Layout): Promise<Runner[]> {
  const runners = await Promise.all([...SLOTS.map(slot => runnerOf(layout, slot)), runningProxy(layout)]);
  return RUNNERS.filter((_, i) => !runners[i]);
}

async function installUnits(
  layout: Layout,
  supervisor: 'launchd' | 'systemd',
  machine: Machine,
  host: HostFacts,
): Promise<Chore[]> {
  const units = Object.entries(renderUnits(machine, host));
  const installed = await Promise.all(units.map(([name]) => readIfThere(join(UNIT_FOLDERS[supervisor], name))));
  const others = units.filter(([, text], i) => installed[i] !== text).map(([name]) => name);
  const isNew = installed.every(text => text === undefined);
  if (others.length > 0) return [handOver(supervisor, others, machine, isNew)];
  const asleep = await findAsleep(layout);
  if (asleep.length > 0) return [wake(supervisor, asleep)];
  // Not long ago the machine may have started, or our script have come, which leaves the mark behind.
  const startedAt = Date.now() - uptime() * 1000;
  const files = [join(UNIT_FOLDERS[supervisor], ROTATION[supervisor]), layout.rotateLogs];
  const installedAt = Math.max(startedAt, ...(await Promise.all(files.map(changedAt))));
  return choresOfLogs(supervisor, { installedAt, rotatedAt: await changedAt(layout.rotated) }, Date.now());
}

/** Milliseconds since 1970; 0 when it is not there. */
async function changedAt(file: string): Promise<number> {
  return await stat(file).then(
    ({ mtimeMs }) => mtimeMs,
    () => 0,
  );
}

function toLaunchd(names: readonly string[], files: string, isNew: boolean): Chore {
  const labels = names.map(name => name.replace(/\.plist$/, '')).join(' ');
  const install = `sudo install -o root -g wheel -m 644 ${files} ${UNIT_FOLDERS.launchd}/`;
  const load = `sudo launchctl bootstrap system ${UNIT_FOLDERS.launchd}/$label.plist`;
  if (isNew) {
    const commands = [install, `for label in ${labels}; do ${load}; done`];
    return { sentence: 'Give the daemons to launchd, as somebody who may use sudo:', commands };
  }
  return {
    // bootout comes back before launchd is done with it.
    sentence: `The daemons have changed (${labels}). This starts each anew; leave the slot that is live for after a promote:`,
    commands: [install, `label=…; sudo launchctl bootout system/$label; until ${load}; do sleep 1; done`],
  };
}

function toSystemd(names: readonly string[], files: string, isNew: boolean): Chore {
  const enabled = names.filter(name => name !== 'frame-logs.service');
  const isTimer = (name: string) => name === ROTATION.systemd;
  const install = [`sudo install -m 644 ${files} ${UNIT_FOLDERS.systemd}/`, 'sudo systemctl daemon-reload'];
  if (!isNew) {
    const sentence =
      'The units have changed. They count from the next time that each starts, slots at the next deploys:';
    // A timer is nobody's process: it may start at once, and else would wait for the next boot.
    const [timers, services] = [names.filter(isTimer), enabled.filter(name => !isTimer(name))];
    return {
      sentence,
      commands: [
        ...install,
        ...(services.length > 0 ? [`sudo systemctl enable ${services.join(' ')}`] : []),
        ...(timers.length > 0 ? [`sudo systemctl enable --now ${timers.join(' ')}`] : []),
      ],
    };
  }
  const sentence = 'Give the units to systemd, as somebody who may use sudo:';
  return { sentence, commands: [...install, `sudo systemctl enable --now ${enabled.join(' ')}`] };
}

async function choresOfPort(layout: Layout, { ports }: HostFacts): Promise<Chore[]> {
  if ((await runningProxy(layout)) || !(await isPortOpen(ports.proxy))) return [];
  const sentence = `Something else than our proxy listens on its port ${ports.proxy}. Find and end it:`;
  return [{ sentence, commands: [`sudo lsof -nP -iTCP:${ports.proxy} -sTCP:LISTEN`] }];
}

function choresOfRoot(): Chore[] {
  if (process.getuid?.() !== 0) return [];
  const sentence = 'Frame is root here, which it never needs: make it a user of its own, and provision as that one.';
  return [{ sentence, commands: [] }];
}
