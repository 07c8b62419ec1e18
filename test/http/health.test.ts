import { afterEach, describe, expect, test } from 'vitest';
import { createHealth, type HealthParts } from '../../src/http/health.ts';
import { createLasting, createOverload, watchLag } from '../../src/http/overload.ts';
import { ask, callTool, post } from './client.ts';
import { createFixtureDoor, customerNamed, type Gateway, type GatewayOptions, startGateway } from './fixture.ts';

let gateway: Gateway | undefined;
afterEach(() => gateway?.stop());

async function start(options: GatewayOptions): Promise<Gateway> {
  gateway = await startGateway(options);
  return gateway;
}

const failing = async () => {
  throw new Error('no connection to 10.0.0.7');
};

describe('ready', () => {
  test('says what it promises', async () => {
    const { status, body } = await ask(await start({ slot: 'green' }), '/frame/ready');
    expect(status).toBe(200);
    expect(JSON.parse(body)).toEqual({
      status: 'ready',
      service: 'frame',
      customer: 'axe',
      slot: 'green',
      release: 'r1',
      migrations: '0007',
      checks: { database: 'ok' },
    });
  });

  test('one failing check is enough for 503, and does not say why in public', async () => {
    const checks = { database: failing, keys: async () => {} };
    const customers = [customerNamed('axe', { origin: 'https://axe.example' })];
    const here = await start({ customers, health: { checks } });
    const { status, headers, body } = await ask(here, '/frame/ready');
    expect([status, headers['retry-after']]).toEqual([503, '1']);
    expect(JSON.parse(body)).toMatchObject({ status: 'not-ready', checks: { database: 'failed', keys: 'ok' } });
    expect(body).not.toContain('10.0.0.7');
    expect((await ask(here, '/frame/live')).status).toBe(200);

    const inDepth = JSON.parse((await ask(here, '/frame/health')).body);
    expect(inDepth).toMatchObject({ failures: { database: 'no connection to 10.0.0.7' }, depth: { pools: 3 } });
    const inPublic = await ask(here, '/frame/health', { headers: { host: 'axe.example' } });
    expect(inPublic.status).toBe(503);
    expect(JSON.parse(inPublic.body)).not.toHaveProperty('depth');
  });
});

describe('checks', () => {
  const parts = (more: Partial<HealthParts>): HealthParts => ({
    facts: { customer: null, slot: null, release: 'r1' },
    checks: {},
    migrations: () => null,
    depth: () => ({}),
    isDraining: () => false,
    now: () => 0,
    ...more,
  });

  test('run once for many probes, and again after a second', async () => {
    let now = 0;
    let runs = 0;
    const database = async () => {
      runs += 1;
    };
    const health = createHealth(parts({ checks: { database }, now: () => now }));
    await Promise.all([health.ready(), health.ready(), health.inDepth()]);
    now = 999;
    await health.ready();
    expect(runs).toBe(1);
    now = 1000;
    await health.ready();
    expect(runs).toBe(2);
  });

  test('one that hangs is told to stop and counts as failed', async () => {
    let told: AbortSignal | undefined;
    const database = (signal: AbortSignal) => {
      told = signal;
      return new Promise<void>(() => {});
    };
    const { isReady, body } = await createHealth(parts({ checks: { database } })).inDepth();
    expect(isReady).toBe(false);
    expect(body).toMatchObject({ failures: { database: 'no answer within 2000 ms' } });
    expect(told?.aborted).toBe(true);
  });

  test('draining is not ready, however well we are', async () => {
    const { isReady, body } = await createHealth(parts({ isDraining: () => true })).ready();
    expect([isReady, body.status]).toEqual([false, 'draining']);
  });
});

describe('F24: overload', () => {
  test('more calls at once than agreed are 503, before their bodies are read', async () => {
    const door = createFixtureDoor();
    const here = await start({ door, calls: { maxConcurrent: 1 } });
    const waiting = door.nextWaiting();
    const first = post(here, callTool('wait'));
    const { finish } = await waiting;
    const second = await post(here, 'not even JSON');
    expect([second.status, second.headers['retry-after']]).toEqual([503, '1']);
    expect(second.headers).not.toHaveProperty('www-authenticate');
    expect((await ask(here, '/frame/ready')).status).toBe(200);
    finish();
    expect((await first).status).toBe(200);
    expect((await post(here, callTool('echo'))).status).toBe(200);
  });

  test('refused and failed requests give their place back', async () => {
    const here = await start({ calls: { maxConcurrent: 1 } });
    for (const body of ['{', callTool('defect'), callTool('outage'), callTool('nothing')]) await post(here, body);
    await ask(here, '/frame/mcp', { method: 'POST' });
    expect((await post(here, callTool('echo'))).status).toBe(200);
  });

  test('a stalled event loop sheds work, but not the little that cannot be its cause', async () => {
    let lag = 0;
    const overload = createOverload(100, () => lag);
    const calls = [1, 2, 3, 4].map(() => Promise.withResolvers<void>());
    const done = calls.map(({ promise }) => overload.within(() => promise));
    lag = 200;
    overload.requireRoom();
    lag = 201;
    expect(() => overload.requireRoom()).toThrow(expect.objectContaining({ code: 'unavailable' }));
    calls[0]?.resolve();
    await done[0];
    overload.requireRoom();
    for (const { resolve } of calls) resolve();
    await Promise.all(done);
  });

  test('one stall, however long, sheds nothing; a loop that stays late does', () => {
    const lasting = createLasting();
    expect([0, 5000, 0, 300, 1, 300].map(lasting)).toEqual([0, 0, 0, 0, 1, 1]);
    expect([400, 350, 350, 2, 0].map(lasting)).toEqual([300, 350, 350, 2, 0]);
  });

  test('lag is what the event loop was late', async () => {
    const { lagMs, stop } = watchLag();
    expect(lagMs()).toBe(0);
    await expect
      .poll(
        () => {
          const busy = performance.now() + 300;
          while (performance.now() < busy);
          return lagMs();
        },
        { timeout: 10_000 },
      )
      .toBeGreaterThan(100);
    stop();
  });
});
