import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createRates, type Rates, rateHeaders, requireRate } from '../../src/access/rates.ts';
import { unavailable } from '../../src/errors.ts';
import { openSignInDatabase, type SignInDatabase } from './sign-in-database.ts';

let database: SignInDatabase;
let blue: Rates;
let green: Rates;
let key = 0;
let queries = 0;

beforeAll(async () => {
  database = await openSignInDatabase();
  const { query } = database.pools;
  const counting: typeof query = (...args) => {
    queries += 1;
    return query(...args);
  };
  // Two slots: what they share is the table.
  [blue, green] = [1, 2].map(() => createRates({ pools: { query: counting }, now: Date.now })) as [Rates, Rates];
});

afterAll(() => database?.close());

beforeEach(() => {
  key += 1;
  queries = 0;
});

const rule = (perMinute: number) => ({ name: 'caller', perMinute });

async function takeMany(rates: Rates, perMinute: number, times: number): Promise<number> {
  const states = await Promise.all(Array.from({ length: times }, () => rates.take(rule(perMinute), String(key))));
  return states.filter(({ isOver }) => !isOver).length;
}

describe('somebody', () => {
  test.each([1, 2, 7, 20, 25, 100])('gets %i and no more, whatever comes at once', async limit => {
    expect(await takeMany(blue, limit, 150)).toBe(limit);
    expect(await takeMany(blue, limit, 10)).toBe(0);
  });

  test('is counted over both slots', async () => {
    const [fromBlue, fromGreen] = await Promise.all([takeMany(blue, 100, 100), takeMany(green, 100, 100)]);
    expect(fromBlue + fromGreen).toBeLessThanOrEqual(100);
    expect(fromBlue + fromGreen).toBeGreaterThanOrEqual(90);
  });

  test('is not counted for others', async () => {
    expect(await takeMany(blue, 5, 6)).toBe(5);
    key += 1;
    expect(await takeMany(blue, 5, 6)).toBe(5);
  });

  test('costs one statement for many calls', async () => {
    await takeMany(blue, 2000, 100);
    expect(queries).toBe(1);
  });

  test('costs none once it was too much', async () => {
    await takeMany(blue, 5, 6);
    queries = 0;
    await takeMany(blue, 5, 50);
    expect(queries).toBe(0);
  });

  test('has no limit at 0', async () => {
    expect(await takeMany(blue, 0, 1000)).toBe(1000);
    expect(queries).toBe(0);
  });

  test('gets as much again in the next minute', async () => {
    let minutes = 0;
    const rates = createRates({ pools: database.pools, now: () => Date.now() + minutes * 60_000 });
    expect(await takeMany(rates, 3, 5)).toBe(3);
    await database.pools.query(
      { role: 'frame_control', database: 'frame_control' },
      'update frame.rates set expire = 0',
    );
    minutes = 1;
    expect(await takeMany(rates, 3, 5)).toBe(3);
  });
});

test('without the table each slot counts for itself', async () => {
  const rates = createRates({ pools: { query: () => Promise.reject(unavailable('away')) }, now: Date.now });
  expect(await takeMany(rates, 40, 100)).toBe(40);
});

test('a crowd at one limit takes nothing from those at another, nor from the last who came', async () => {
  const rates = createRates({ pools: { query: () => Promise.reject(unavailable('away')) }, now: Date.now });
  expect(await takeMany(rates, 100, 1)).toBe(1);
  for (let i = 0; i < 10_001; i += 1) await rates.take({ name: 'crowd', perMinute: 40 }, String(i));
  // A lease is of 5 and of 2: what is left of it is still there.
  expect(await rates.take(rule(100), String(key))).toMatchObject({ remaining: 98 });
  expect(await rates.take({ name: 'crowd', perMinute: 40 }, '10000')).toMatchObject({ remaining: 38 });
  // The first one is forgotten, and what was left of its lease is taken for spent.
  expect(await rates.take({ name: 'crowd', perMinute: 40 }, '0')).toMatchObject({ remaining: 37 });
});

test('what is said of it, in header fields and in an error', async () => {
  const state = await blue.take(rule(60), String(key));
  expect(rateHeaders(state)).toEqual({
    'RateLimit-Policy': '"caller";q=60;w=60',
    RateLimit: `"caller";r=59;t=${state.resetSeconds}`,
  });
  expect(state.resetSeconds).toBeGreaterThanOrEqual(1);
  expect(state.resetSeconds).toBeLessThanOrEqual(60);
  requireRate(state);
  await takeMany(blue, 60, 60);
  const over = await blue.take(rule(60), String(key));
  expect(over).toMatchObject({ isOver: true, remaining: 0 });
  expect(() => requireRate(over)).toThrow(
    expect.objectContaining({ code: 'limit/requests', retryable: true, retryAfterSeconds: over.resetSeconds }),
  );
});
