import { type ChildProcess, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { Refused } from './deed.ts';
import { readIfThere } from './durable.ts';
import { findProgram } from './find-program.ts';
import type { Layout } from './layout.ts';
import { isPortOpen } from './loopback.ts';
import { commandLineOf, type Life, lifeOf, signal } from './processes.ts';
import { runProgram } from './programs.ts';
import type { HostFacts } from './protocol.ts';
import { until } from './until.ts';

/** The Caddy that run-proxy became; undefined when it does not run. */
export async function runningProxy(layout: Layout): Promise<Life | undefined> {
  const pid = Number((await readIfThere(layout.proxyPid))?.trim());
  const life = await lifeOf(pid);
  // A number in a file proves nothing: after a restart of the machine it may be anybody's.
  return life && (await commandLineOf(pid)).includes('proxy/Caddyfile') ? life : undefined;
}

/**
 * The one restart that there is, for new routes: Caddy reads its files only when it starts, and a reload would lose more.
 * A second Caddy listens on the same port meanwhile; where that cannot be, requests are refused for a moment. Event
 * streams end, and what is being opened in the moment when the old one closes its socket is reset. Resolves to a note.
 * @throws Refused when nobody starts it again: the second Caddy, the last that listens, then stays.
 */
export async function restartProxy(
  layout: Layout,
  ports: HostFacts['ports'],
  old: Life,
  withinMs = RESTART_MS,
): Promise<string> {
  const isThereTwice = async () => (await countListeners(ports.proxy)) > 1;
  const isAlone = (await countListeners(ports.proxy)) === 1;
  const standIn = isAlone ? await startStandIn(layout, ports, isThereTwice) : undefined;
  const started = performance.now();
  signal(old, 'SIGTERM');
  const isBack = async () => {
    const next = await runningProxy(layout);
    if (!next || next.pid === old.pid) return false;
    return standIn ? await isThereTwice() : await isPortOpen(ports.proxy);
  };
  if (!(await until(isBack, withinMs).catch(() => false))) {
    const isServed = standIn !== undefined || (await isPortOpen(ports.proxy));
    const last = isServed ? standIn : await startStandIn(layout, ports, () => isPortOpen(ports.proxy));
    throw notBack(ports.proxy, last && letStay(last));
  }
  standIn?.stdin?.end();
  await standInEnded(standIn);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  return standIn ? 'a second one stood in meanwhile' : `nobody listened for up to ${seconds} s`;
}

// Private

/** The old one may take its whole grace period to end, and launchd pauses before it starts the next one. */
const RESTART_MS = 40_000;
const START_MS = 5_000;

/** Ends with its standard input, so that it outlives this process only when it is told to, however that ends. */
const STAND_IN =
  '"$@" & caddy=$!; trap \'kill "$caddy"\' TERM; read -r word; [ "$word" = stay ] || kill "$caddy"; wait "$caddy"';

/** Undefined when it does not come to serve: two may not be able to listen on one port here. */
async function startStandIn(
  layout: Layout,
  ports: HostFacts['ports'],
  isServing: () => Promise<boolean>,
): Promise<ChildProcess | undefined> {
  const args = ['/bin/sh', layout.runProxy, `${ports.blue}`, `${ports.green}`, `${ports.proxy}`];
  const child = spawn('/bin/sh', ['-c', STAND_IN, 'stand-in', ...args], {
    // A session of its own: a hang-up of the connection to the laptop must not end it too early.
    detached: true,
    env: { ...process.env, FRAME_STAND_IN: '1' },
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  child.on('error', () => {});
  child.stdin?.on('error', () => {});
  if (await until(isServing, START_MS)) return child;
  child.stdin?.end();
  await standInEnded(child);
  return undefined;
}

/** Its number, for whoever ends it one day. */
function letStay(standIn: ChildProcess): number | undefined {
  standIn.stdin?.end('stay\n');
  standIn.unref();
  return standIn.pid;
}

async function standInEnded(child: ChildProcess | undefined): Promise<void> {
  const isGone = () => !child || child.exitCode !== null || child.signalCode !== null;
  await until(isGone, RESTART_MS);
}

/** Sockets that listen on this port of 127.0.0.1; 0 when nobody can say. */
async function countListeners(port: number): Promise<number> {
  if (process.platform === 'linux') {
    const local = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')} 00000000:0000 0A`;
    return (await readFile('/proc/net/tcp', 'utf8').catch(() => '')).split(local).length - 1;
  }
  const lsof = await findProgram('lsof');
  if (!lsof) return 0;
  const { out } = await runProgram(lsof, ['-nP', `-iTCP@127.0.0.1:${port}`, '-sTCP:LISTEN', '-t']);
  return out.split('\n').filter(Boolean).length;
}

function notBack(port: number, standIn: number | undefined): Refused {
  const serves = standIn === undefined ? '' : ` A stand-in serves with them meanwhile, process ${standIn}.`;
  const thenEnd = standIn === undefined ? '' : ` Then end the stand-in: kill ${standIn}`;
  return new Refused({
    code: 'deploy/failed',
    message: `The proxy was ended for its new routes, and nobody started it again on port ${port}.${serves}`,
    hint: `Start its daemon; \`frame provision\` says how.${thenEnd}`,
    exit: 1,
  });
}
