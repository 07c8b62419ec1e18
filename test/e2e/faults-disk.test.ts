import { appendFile, mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import type { Serving } from '../support/frame-process.ts';
import { NO_SMALL_DISK, putOnSmallDisk, type SmallDisk } from '../support/tmpfs.ts';
import {
  depthOf,
  eventually,
  expectCleanLogs,
  expectExactlyOnce,
  type FaultsWorld,
  keepWriting,
  openFaultsWorld,
  PLACE,
  untilReady,
} from './faults-world.ts';
import { ask, post, rpc } from './wire.ts';

const calls = Array.from({ length: 10 }, (_, id) => rpc('tools/call', { name: 'get_context', arguments: {} }, id));
const TEN_CALLS = `[${calls.join()}]`;
const TenAnswers = z
  .array(z.object({ result: z.object({ structuredContent: z.object({}), isError: z.literal(false).optional() }) }))
  .length(calls.length);
const Checkpoints = z.looseObject({ failure: z.string().nullable() });

describe.skipIf(NO_SMALL_DISK)(`F10: a full disk${NO_SMALL_DISK ? ` (skipped: ${NO_SMALL_DISK})` : ''}`, () => {
  let world: FaultsWorld;
  let dataDisk: SmallDisk;
  let auditDisk: SmallDisk;
  let blue: Serving;

  beforeAll(async () => {
    world = await openFaultsWorld({
      // Without the write-ahead log: where that finds no room, Postgres itself ends.
      prepare: async ({ data }) => {
        dataDisk = await putOnSmallDisk(join(data, 'base'), 160);
      },
    });
    const audit = join(world.home.data, 'audit');
    await mkdir(audit, { recursive: true, mode: 0o700 });
    auditDisk = await putOnSmallDisk(audit, 4);
    blue = await world.serve('blue');
    await world.makeMarks(blue);
  });

  afterAll(() => world?.remove());

  const read = () =>
    post(world.at(blue), rpc('tools/call', { name: 'select_rows', arguments: { ...PLACE, table: 'marks', limit: 1 } }));

  test('under the tables: writes are refused, and reads that cannot be recorded; with room again all is well', async () => {
    const writing = keepWriting(world, blue);
    onTestFinished(() => writing.stop());
    await writing.untilAcknowledged(20);
    await dataDisk.fill();
    try {
      // One read may be refused, and the next one's record still find room in the last page.
      await eventually(async () => {
        const { status, headers } = await read();
        return [status, Number(headers['retry-after']) > 0];
      }).toEqual([503, true]);
      expect((await ask(blue.port, '/frame/live')).status).toBe(200);
      await eventually(async () => (await ask(blue.port, '/frame/metrics')).body).toMatch(
        /frame_events_total\{kind="audit-failed"\} [1-9]/,
      );
    } finally {
      await dataDisk.free();
    }
    await writing.untilAcknowledged(writing.acknowledged() + 10);
    await writing.stop();
    await untilReady(blue);
    await expectExactlyOnce(world, writing, blue);
    expect((await read()).status).toBe(200);
    expect(await world.verify()).toBe(0);
  }, 90_000);

  test('under the checkpoints of the record: operators see it, nobody else, and the next one is written', async () => {
    const failure = async () => Checkpoints.parse((await depthOf(blue)).audit_checkpoints).failure;
    /** One is written after a thousand records. So few callers are never too many. */
    async function callUntil(isReached: () => Promise<boolean>): Promise<void> {
      let isOver = false;
      const callers = Array.from({ length: 3 }, async () => {
        while (!isOver) {
          const { status, body } = await post(world.at(blue), TEN_CALLS);
          expect(status, body).toBe(200);
          expect(TenAnswers.safeParse(JSON.parse(body)).error, body).toBeUndefined();
        }
      });
      const calling = Promise.all(callers);
      // Whoever fails does so before anybody waits for it below.
      calling.catch(() => {});
      try {
        await expect.poll(isReached, { timeout: 80_000, interval: 200 }).toBe(true);
      } finally {
        isOver = true;
        await calling;
      }
    }
    expect(await failure()).toBeNull();
    await fillLastPage(join(world.home.data, 'audit/checkpoints.ndjson'));
    await auditDisk.fill();
    await callUntil(async () => /full|ENOSPC/.test((await failure()) ?? ''));
    await auditDisk.free();
    await callUntil(async () => (await failure()) === null);
    expect([await blue.stop(), await world.verify()]).toEqual([0, 0]);
  }, 200_000);

  test('nothing of this crashed, and no secret was printed', () => expectCleanLogs(world));
});

/** As a killed process leaves a line. Where the last page has room, the next lines fit on the fullest disk. */
async function fillLastPage(file: string): Promise<void> {
  const { size } = await stat(file);
  await appendFile(file, '{'.padEnd(PAGE - (size % PAGE)));
}

const PAGE = 4096;
