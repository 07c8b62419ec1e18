import { expect, test } from 'vitest';
import { FrameError } from '../../src/errors.ts';
import type { Inspection } from '../../src/operator/agent/protocol.ts';
import { createNetwork } from '../../src/operator/doctor/network.ts';
import { examineAll, type Means } from '../../src/operator/health/examine.ts';
import { customerNamed } from '../http/fixture.ts';

const machine = { slots: {} } as Inspection;
const customers = Array.from({ length: 20 }, (_, i) => ({ ...customerNamed(`c${i}`), host: `mac-${i}` }));

function examine(inspect: Means['inspect'], more: Partial<Means> = {}) {
  const readTailnet = async () => ({ find: () => undefined });
  return examineAll(customers, {
    inspect,
    network: createNetwork(),
    readTailnet,
    connectSeconds: 0,
    now: Date.now,
    ...more,
  });
}

test('eight at once, in the order of customers.yaml', async () => {
  let [running, most] = [0, 0];
  const { examinations } = await examine(async ({ id }) => {
    running += 1;
    most = Math.max(most, running);
    // The later ones of a round are the first to be done.
    for (let i = Number(id.slice(1)); i < 20; i++) await Promise.resolve();
    running -= 1;
    return machine;
  });
  expect(most).toBe(8);
  expect(examinations.map(({ customer }) => customer)).toEqual(customers);
});

test('one that never answers, one that is refused and one that meets a defect hide nobody', async () => {
  const { examinations } = await examine(async ({ id }) => {
    if (id === 'c3') return new Promise(() => {});
    if (id === 'c4') throw new FrameError('deploy/unreachable', 'mac-4 is off.', { hint: 'Switch it on.' });
    if (id === 'c5') throw new FrameError('deploy/refused', 'There is no Frame there.');
    if (id === 'c6') throw new TypeError('a defect');
    return machine;
  });
  expect(examinations.slice(2, 8).map(({ machine }) => machine)).toEqual([
    machine,
    { isReached: false, sentence: 'mac-3 gave no answer within 2 s.' },
    { isReached: false, sentence: 'mac-4 is off.', hint: 'Switch it on.' },
    { isReached: true, sentence: 'There is no Frame there.' },
    { isReached: true, sentence: expect.stringContaining('a defect'), hint: expect.any(String) },
    machine,
  ]);
});

test('one that is late is given up, and is no more unreachable once it has answered', async () => {
  const reasons: unknown[] = [];
  const { examinations } = await examine(async ({ id }, { signal, onReached } = {}) => {
    if (id === 'c3') onReached?.();
    if (id !== 'c3' && id !== 'c4') return machine;
    return await new Promise((_, reject) => {
      signal?.addEventListener('abort', () => {
        reasons.push(signal.reason);
        reject(signal.reason);
      });
    });
  });
  expect(examinations.slice(3, 5).map(({ machine }) => machine)).toEqual([
    { isReached: true, sentence: 'mac-3 was reached, and gave no answer within 2 s.' },
    { isReached: false, sentence: 'mac-4 gave no answer within 2 s.' },
  ]);
  expect(reasons).toHaveLength(2);
});

test('a network that is silent holds nobody up', async () => {
  const network = { ...createNetwork(), ask: () => new Promise<never>(() => {}) };
  const [first] = customers;
  const { examinations } = await examineAll(first ? [{ ...first, origin: 'http://127.0.0.1:1' }] : [], {
    inspect: async () => machine,
    network,
    readTailnet: async () => ({ find: () => undefined, remark: 'a remark' }),
    connectSeconds: 0,
    now: Date.now,
  });
  expect(examinations[0]).toMatchObject({
    machine,
    outside: { fault: 'From here, http://127.0.0.1:1 gave no answer within 2 s.' },
  });
});
