import { describe, expect, test } from 'vitest';
import { FrameError } from '../../src/errors.ts';
import type { Inspection } from '../../src/operator/agent/protocol.ts';
import { readBearer } from '../../src/operator/doctor/challenge.ts';
import { askMachine } from '../../src/operator/doctor/machine.ts';
import { type Network, NoAnswer } from '../../src/operator/doctor/network.ts';
import { lookUpName } from '../../src/operator/doctor/reach.ts';
import { createWalk, ok, type StepReport } from '../../src/operator/doctor/walk.ts';
import { customerNamed } from '../http/fixture.ts';

/** Single steps, where the real thing cannot be arranged on one computer. */
const customer = { ...customerNamed('axe'), host: 'axe-mac' };

describe('the name', () => {
  function lookUp(addresses: string[] | NoAnswer, origin = 'https://axe.example') {
    const resolve = async () => {
      if (addresses instanceof NoAnswer) throw addresses;
      return addresses;
    };
    return lookUpName({ customer, origin, network: { resolve } as Partial<Network> as Network });
  }
  const failure = (code: string) => new NoAnswer(Object.assign(new Error(code), { code }));

  test.each([
    [['104.16.1.2', '2606:4700::1'], 'ok', 'axe.example is 104.16.1.2, 2606:4700::1.'],
    [['2606:4700::1'], 'broken', 'has no IPv4 address'],
    [['100.101.102.103'], 'broken', 'which nobody on the internet can reach'],
    [['104.16.1.2', '192.168.1.5'], 'broken', 'is 192.168.1.5, which'],
    [['127.0.0.1'], 'broken', 'is 127.0.0.1, which'],
    [['104.16.1.2', 'fd7a:115c:a1e0::1'], 'broken', 'is fd7a:115c:a1e0::1, which'],
    [failure('ENOTFOUND'), 'broken', 'Nobody knows the name axe.example.'],
    [failure('EAI_AGAIN'), 'broken', 'cannot be looked up: the name server does not answer.'],
  ])('%s', async (addresses, outcome, seen) => {
    expect(await lookUp(addresses)).toMatchObject({ outcome, seen: expect.stringContaining(seen) });
  });

  test('an address that stands for itself', async () => {
    expect((await lookUp(['203.0.113.7'], 'https://203.0.113.7')).outcome).toBe('ok');
  });
});

describe('the machine', () => {
  const release = '20261120T135514Z-aaae36e';
  const well: Inspection = {
    host: { customer: 'axe', ports: { blue: 1, green: 2, proxy: 3 }, supervisor: 'launchd' },
    platform: 'darwin-arm64',
    live: 'blue',
    slots: {
      blue: { release, pid: 1, held: false, ready: { status: 200, body: { release } } },
      green: { held: false },
    },
    releases: [release],
    proxy: { status: 200, slot: 'blue', release },
    disk: { freeBytes: 1, totalBytes: 1 },
    history: [],
    files: {},
    envNames: [],
  };
  const ask = (changes: Partial<Inspection>, walked: StepReport[] = []) =>
    askMachine(customer, async () => ({ ...well, ...changes }), walked);
  const brokenAt = (step: string): StepReport => ({ step, outcome: 'broken', seen: '', ms: 0 });

  test.each([
    ['no slot is live', { live: undefined }, 'No slot is live'],
    ['the live slot is gone', { slots: { ...well.slots, blue: { release, held: false } } }, 'does not answer'],
    [
      'the live slot is not ready',
      { slots: { ...well.slots, blue: { release, held: false, ready: { status: 503, body: {} } } } },
      'is not ready (503)',
    ],
    ['the proxy is gone', { proxy: undefined }, 'Its proxy does not answer.'],
    ['the proxy leads elsewhere', { proxy: { status: 200, slot: 'green' } }, 'not from blue, which is live'],
    ['it is that of somebody else', { host: { ...well.host, customer: 'zoo' } }, 'is that of zoo'],
  ])('%s', async (_, changes, seen) => {
    expect(await ask(changes)).toMatchObject({ outcome: 'broken', seen: expect.stringContaining(seen) });
  });

  test('the way back is named when it leads somewhere', async () => {
    const blue = { release, held: false, ready: { status: 503, body: {} } };
    const green = { release, held: false, ready: { status: 200, body: {} } };
    expect((await ask({ slots: { blue, green } })).mend).toContain('`frame rollback axe` goes back');
    expect((await ask({ slots: { blue, green: blue } })).mend).toContain('look at Postgres there first');
  });

  test('is well: a fault on the way is before it, any other is not', async () => {
    const before = 'So the fault lies before it';
    expect((await ask({}, [brokenAt('gateway')])).seen).toContain(before);
    expect((await ask({}, [brokenAt('entra-keys'), brokenAt('mcp-2026-07-28')])).seen).not.toContain(before);
    expect((await ask({})).outcome).toBe('ok');
  });

  test('that cannot be asked breaks nothing, for no client comes this way', async () => {
    const lost = new FrameError('deploy/unreachable', 'axe-mac cannot be reached.', { hint: 'Is it on?' });
    const found = await askMachine(customer, () => Promise.reject(lost), []);
    expect(found).toEqual({ outcome: 'unclear', seen: 'axe-mac cannot be reached. Is it on?' });
  });

  test('a defect of ours is not hidden', async () => {
    await expect(askMachine(customer, () => Promise.reject(new TypeError('x')), [])).rejects.toThrow(TypeError);
  });
});

describe('a challenge', () => {
  test.each([
    ['Bearer a="1", b="2"', { a: '1', b: '2' }],
    ['Bearer a="say \\"hi\\", then go"', { a: 'say "hi", then go' }],
    ['Bearer error=invalid_token,a="1"', { error: 'invalid_token', a: '1' }],
    ['Bearer  a="1"', { a: '1' }],
    ['Bearer a="1", a="2"', undefined],
    ['Bearer a="1" b="2"', undefined],
    ['Bearer a="1', undefined],
    ['Bearer a="1", Basic realm="x"', undefined],
    ['Basic realm="x", Bearer a="1"', undefined],
    ['bearer a="1"', undefined],
    ['Bearer', undefined],
    ['', undefined],
  ])('%s', (header, expected) => {
    const parameters = readBearer(header);
    expect(parameters && Object.fromEntries(parameters)).toEqual(expected);
  });
});

test('a defect in a step is not taken for the network', async () => {
  const walk = createWalk(() => {});
  await walk.step('a', [], () => ok('yes'));
  await expect(
    walk.step('b', [], () => {
      throw new TypeError('x');
    }),
  ).rejects.toThrow(TypeError);
});
