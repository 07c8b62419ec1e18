import { readFile, realpath } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { type Changes, trackChanges } from './changes.ts';
import { choresOfMachine, startByHand } from './chores.ts';
import { type Deed, Refused, type Scene } from './deed.ts';
import { findProgram } from './find-program.ts';
import type { Layout } from './layout.ts';
import { whileLocked } from './locked.ts';
import { makeFolders } from './machine-folders.ts';
import type { Chore, HostFacts, Provisioning } from './protocol.ts';
import { checkProxyFiles, isProxyOutdated, writeProxyFiles } from './proxy-files.ts';
import { restartProxy, runningProxy } from './restart-proxy.ts';
import { prepareDatabase } from './role-and-databases.ts';
import { settleHost } from './settle-host.ts';
import { openEnv, writeShared } from './shared-files.ts';
import type { Steps } from './steps.ts';
import { type Machine, renderUnits, SCRIPTS } from './units.ts';

/**
 * This machine becomes what Frame needs, as far as a login without special rights can make it; the rest is answered as
 * chores. Everything is looked at before anything is changed, and repeating it changes nothing.
 */
export const provision: Deed<'provision'> = async (request, scene) => {
  const { layout, dryRun } = scene;
  const machine = await describeMachine(layout);
  const changes = trackChanges(layout.home, dryRun);
  // The lock lies in the one, and what a killed verb left to be set right in the other.
  for (const name of ['state', 'shared']) await changes.folder(join(layout.home, name), 0o700);

  return await whileLocked(scene, { verb: 'provision', force: request.force }, async ({ steps }) => {
    const left: Chore[] = [];
    // In a dry run `changes` changes nothing, so each of them is a look.
    const step = (name: string, work: () => Promise<Chore[]>) =>
      steps.look(name, async () => {
        const before = changes.done.length;
        left.push(...(await work()));
        return countOf(changes.done.length - before);
      });

    const caddy = await findProgram('caddy');
    const { host, env } = await steps.look('check', async () => {
      const env = await openEnv(layout, request);
      const host = await settleHost(request, layout, env);
      if (caddy) await checkProxyFiles(caddy, request.proxy, host.ports, { home: machine.home, dryRun });
      return { host, env };
    });

    await step('folders', () => makeFolders(layout, changes));
    await step('files', async () => {
      await writeFiles(layout, request, host, machine, changes);
      return [];
    });
    let newUrl: string | undefined;
    await step('postgres', async () => {
      const prepared = await prepareDatabase(request, env.FRAME_DATABASE_URL, changes);
      newUrl = prepared.url;
      return prepared.left;
    });
    await step('shared', () => writeShared(layout, request, newUrl, changes));
    left.push(...(await refreshProxy(layout, request, host, machine, { steps, changes, tell: scene.tell })));
    left.push(...(await choresOfMachine(layout, machine, host, caddy)));
    return { answer: { host, ...machine, done: [...changes.done], left } };
  });
};

// Private

async function describeMachine(layout: Layout): Promise<Machine> {
  const home = await realpath(layout.home);
  if (!/\p{Cc}/u.test(home)) return { home, user: userInfo().username };
  const message = `Frame's folder has a control character in its name, which no daemon can be told: ${JSON.stringify(home)}.`;
  throw new Refused({ code: 'deploy/refused', message, exit: 2 });
}

async function writeFiles(
  layout: Layout,
  { proxy }: Provisioning,
  host: HostFacts,
  machine: Machine,
  changes: Changes,
): Promise<void> {
  await writeProxyFiles(layout, proxy, changes);
  for (const name of SCRIPTS) {
    const text = await readFile(join(import.meta.dirname, `${name}.sh`), 'utf8');
    await changes.file(join(layout.home, 'bin', name), text, 0o755);
  }
  for (const [name, text] of Object.entries(renderUnits(machine, host)))
    await changes.file(join(layout.units, name), text, 0o644);
  await changes.file(layout.host, `${JSON.stringify(host, null, 2)}\n`, 0o600);
}

async function refreshProxy(
  layout: Layout,
  { restartProxy: mayRestart, customer }: Provisioning,
  { ports, supervisor }: HostFacts,
  machine: Machine,
  { steps, changes, tell }: { steps: Steps; changes: Changes; tell: Scene['tell'] },
): Promise<Chore[]> {
  const running = await runningProxy(layout);
  const isOutdated = changes.done.some(line => line.startsWith('proxy/')) || (await isProxyOutdated(layout));
  if (!running || !isOutdated) return [];
  if (supervisor === 'none') {
    // It may be that nobody starts it again.
    const sentence =
      'The proxy runs with its files of before. End it when event streams may end, and start it anew unless something does so by itself:';
    return [{ sentence, commands: [`kill ${running.pid}`, startByHand(machine, ports, 'proxy')] }];
  }
  if (!mayRestart) {
    const sentence =
      'The proxy runs with its files of before. Let it start anew when event streams may end for a moment:';
    return [{ sentence, commands: [`frame provision ${customer}`] }];
  }
  const sentence = 'The proxy starts anew for its new files: event streams end once, and a few requests may fail.';
  if (!changes.dryRun) tell({ kind: 'warning', sentence });
  await steps.run('proxy', 'starts anew', () => restartProxy(layout, ports, running));
  changes.note('the proxy', 'started anew');
  return [];
}

function countOf(changes: number): string {
  if (changes === 0) return 'as it was';
  return `${changes} ${changes === 1 ? 'change' : 'changes'}`;
}
