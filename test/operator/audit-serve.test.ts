import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { checkpointFiles } from '../../src/audit/checkpoint-writer.ts';
import { parseLine } from '../../src/audit/signed-line.ts';
import { TWO_CUSTOMERS } from '../customers/fixture.ts';
import { ask } from '../e2e/wire.ts';
import { type FrameHome, makeFrameHome, type Serving } from '../support/frame-process.ts';

/** Real gateways and commands on one data folder: what they sign, and whether anybody can ever find fault with it. */
let home: FrameHome;

beforeAll(async () => {
  home = await makeFrameHome(TWO_CUSTOMERS);
  expect(await home.run(['migrate'])).toMatchObject({ exit: 0 });
});
afterAll(() => home?.remove());

async function verify(...args: string[]) {
  const { exit, out, err } = await home.run(['audit', 'verify', ...args]);
  return { exit, out, err };
}

async function readSigned() {
  const text = await readFile(checkpointFiles(home.data).checkpoints, 'utf8').catch(() => '');
  return text.split('\n').slice(0, -1).map(parseLine);
}

const createKey = async () => {
  const { exit, out, err } = await home.run(['keys', 'create', 'axe', '--role', 'view', '--name', 'a script']);
  expect([exit, err]).toEqual([0, expect.stringContaining('This is the only time')]);
  return out.trim();
};

async function call(gateway: Serving, key: string) {
  return await ask(gateway.port, '/api/tool', {
    method: 'POST',
    host: 'axe.example',
    headers: { 'content-type': 'application/json', 'x-api-key': key },
    body: JSON.stringify({ tool: 'get_context', params: {} }),
  });
}

test('a command that adds to the log signs what it added, before there ever was a gateway', async () => {
  expect(await verify()).toMatchObject({ exit: 0, out: '', err: expect.stringContaining('Nothing is recorded') });
  const file = join(home.folder, 'items.csv');
  await home.writeFile('items.csv', 'name\none\ntwo\n');
  expect(await home.run(['import', 'axe', file, '--table', 'items'])).toMatchObject({ exit: 0 });
  const signed = await readSigned();
  expect(signed.map(line => (typeof line === 'string' ? line : line.heads))).toEqual([
    [],
    [{ chain: 'axe/axe', seq: 2, hash: expect.any(String) }],
  ]);
  expect(await verify()).toMatchObject({ exit: 0, out: expect.stringContaining('checkpoints  whole, 2 lines') });
});

test('a gateway signs when it starts and when it ends, says so in its log, and shows it', async () => {
  const before = (await readSigned()).length;
  const key = await createKey();
  const gateway = await home.serve();
  expect(await verify()).toMatchObject({ exit: 0 });
  for (let i = 0; i < 5; i++) expect((await call(gateway, key)).status).toBe(200);
  const { depth } = JSON.parse((await ask(gateway.port, '/frame/health')).body);
  expect(depth.audit_checkpoints).toEqual({
    number: before + 3,
    age_seconds: expect.any(Number),
    failure: null,
    second_place: 'none',
  });
  expect(await gateway.stop()).toBe(0);
  const last = (await readSigned()).at(-1);
  if (typeof last !== 'object') throw new Error('The last line is none.');
  expect(gateway.output()).toContain(`"number":${last.number}`);
  expect(gateway.output()).toContain(last.signature);
  expect(await verify()).toMatchObject({ exit: 0 });
});

test('gateways that are killed, two at once, leave nothing that looks like a fault', async () => {
  const key = await createKey();
  for (let round = 0; round < 3; round++) {
    const pair = await Promise.all([home.serve(), home.serve()]);
    const calling = Promise.allSettled(pair.flatMap(gateway => Array.from({ length: 40 }, () => call(gateway, key))));
    expect(await verify()).toMatchObject({ exit: 0 });
    await Promise.all(pair.map(gateway => gateway.stop('SIGKILL')));
    await calling;
    expect(await verify()).toMatchObject({ exit: 0 });
  }
}, 120_000);

test('a second place in gateway.yaml gets it all', async () => {
  const second = join(home.folder, 'second place');
  await home.writeFile('config/gateway.yaml', `audit: { second_place: ${second} }\n`);
  const gateway = await home.serve();
  const shown = JSON.parse((await ask(gateway.port, '/frame/health')).body).depth.audit_checkpoints;
  expect(shown).toMatchObject({ failure: null, second_place: expect.stringContaining('ENOENT') });
  expect(await gateway.stop()).toBe(0);
  await expect(stat(second)).rejects.toMatchObject({ code: 'ENOENT' });
  expect(await verify()).toMatchObject({
    exit: 0,
    err: expect.stringContaining('The second place has no checkpoints'),
  });
});

test('nothing of this printed the master key', async () => {
  const key = (await readFile(join(home.data, 'master.key'), 'utf8')).trim();
  expect(home.printed()).not.toContain(key);
});
