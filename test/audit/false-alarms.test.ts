import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { archiveMonth } from '../../src/audit/archive.ts';
import { createMonths } from '../../src/audit/months.ts';
import { secondFile } from '../../src/audit/second-place.ts';
import type { OwnerConnection } from '../../src/database/server.ts';
import { type AuditDatabase, KEY, openAuditDatabase, readChain, requestIdsOf } from './audit-database.ts';
import { createRandom } from './random.ts';

let database: AuditDatabase;
let root: OwnerConnection;
let secondPlace: string;
const slots: Slot[] = [];

beforeAll(async () => {
  database = await openAuditDatabase();
  root = await database.connectAsRoot();
  secondPlace = join(database.dataFolder, 'second');
  await mkdir(secondPlace);
});
afterAll(async () => {
  for (const { child } of slots) child.kill('SIGKILL');
  await database?.close();
});

/** Two slots append, sign and copy as fast as they can, are killed at any moment and come back; months end meanwhile. */
test('a log that nobody touched is whole at every moment', async () => {
  const random = createRandom('kills');
  const acknowledged = new Set<string>();
  const pair = [startSlot('blue', acknowledged), startSlot('green', acknowledged)];
  const watch = watchLog();
  const months = createMonths({ ...database, publicKey: KEY.publicKey, say: database.openCheckpoints().say });

  let sealed: string[] = [];
  for (let kill = 0; kill < KILLS; kill++) {
    const place = random.below(2);
    const victim = pair[place];
    await victim?.until(1 + random.below(40));
    victim?.child.kill('SIGKILL');
    pair[place] = startSlot(`${place} ${kill}`, acknowledged);
    if (kill === 8) {
      await database.passMonths(1);
      sealed = await months.keep();
    }
    if (kill === 16) await archive(sealed[0] ?? '');
  }
  for (const { child, until, ended } of pair) {
    await until(1);
    child.kill('SIGTERM');
    expect(await ended).toBe(0);
  }
  expect(await watch.stop()).toBeGreaterThan(5);
  const { faults, chains } = await database.verify({ second: secondFile(secondPlace) });
  expect([faults, chains.map(({ verdict }) => verdict)]).toEqual([[], ['whole', 'whole', 'whole']]);
  const ids = (await Promise.all(['a', 'b', 'c'].map(entity => readChain(root, `axe/${entity}`)))).flatMap(
    requestIdsOf,
  );
  expect(new Set(ids).size).toBe(ids.length);
  const archived = await readFile(join(database.dataFolder, `frame-audit-${sealed[0]}.ndjson`), 'utf8');
  const kept = new Set([...ids, ...archived.matchAll(/"requestId\\":\\"([^"\\]+)/g).map(([, id = '']) => id)]);
  expect([...acknowledged].filter(id => !kept.has(id))).toEqual([]);
}, 120_000);

// Private

/** Both slots and the watcher are at the log: it may take more than one attempt. */
async function archive(month: string): Promise<void> {
  const say = database.openCheckpoints().say;
  const parts = { ...database, publicKey: KEY.publicKey, owner: root, folder: database.dataFolder, keepMonths: 0, say };
  await vi.waitFor(() => archiveMonth(month, parts), { timeout: 60_000 });
}

const KILLS = 24;

interface Slot {
  child: ChildProcess;
  /** Resolves when it has acknowledged so many more appends. */
  until(appends: number): Promise<void>;
  ended: Promise<number | null>;
}

function startSlot(name: string, acknowledged: Set<string>): Slot {
  const { port } = database.postgres.server.address;
  const script = join(import.meta.dirname, 'append-forever.ts');
  const child = spawn(process.execPath, [script, String(port), database.dataFolder, secondPlace, name], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout });
  lines.on('line', line => acknowledged.add(line));
  const slot: Slot = {
    child,
    ended: once(child, 'exit').then(([code]) => code),
    async until(appends) {
      for (let seen = 0; seen < appends; seen++) {
        const line = await Promise.race([once(lines, 'line'), slot.ended]);
        if (!Array.isArray(line)) throw new Error(`${name} ended by itself: ${line}`);
      }
    },
  };
  slots.push(slot);
  return slot;
}

/** Verifies again and again; any fault at any moment fails the test. */
function watchLog() {
  let isOver = false;
  let rounds = 0;
  const watching = (async () => {
    while (!isOver) {
      const verified = await database.verify({ second: secondFile(secondPlace) });
      expect(verified).toMatchObject({ code: 0, faults: [] });
      rounds += 1;
    }
  })();
  watching.catch(() => {});
  return {
    async stop() {
      isOver = true;
      await watching;
      return rounds;
    },
  };
}
