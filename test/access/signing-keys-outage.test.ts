import type { ServerResponse } from 'node:http';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Access, createAccess } from '../../src/access/authenticate.ts';
import type { Customer } from '../../src/customers/customer.ts';
import { FrameError } from '../../src/errors.ts';
import {
  createKey,
  forge,
  NO_KEYS,
  NOW,
  recordObservations,
  sampleClaims,
  sampleCustomer,
  startServer,
  TENANT,
  type TestKey,
  type TestServer,
  toJwk,
} from './fixtures.ts';

/** What tokens are worth while Entra changes its keys, and while it cannot be asked: at a real server, by a clock of ours. */
const old = createKey('old');
const fresh = createKey('fresh');
const COOLDOWN_MS = 30_000;
const MAX_AGE_MS = 600_000;

let entra: TestServer;
let answer: (response: ServerResponse) => void;
let attempts: number;
let clock: number;
let observations: ReturnType<typeof recordObservations>;
let axe: Customer;
let access: Access;

beforeEach(async () => {
  attempts = 0;
  clock = NOW;
  observations = recordObservations();
  publish(old);
  entra = await startServer((_, response) => {
    attempts += 1;
    answer(response);
  });
  axe = sampleCustomer({ entra: { authority: entra.origin } });
  access = createAccess({
    fetch,
    now: () => clock,
    observe: observations.observe,
    roles: new Map([['view', new Set(['select_rows'])]]),
    tools: [],
    apiKeys: NO_KEYS,
    accessTokens: { find: () => Promise.reject(new Error('no token is ours')) },
    limits: {
      leewaySeconds: 60,
      rememberSeconds: 1,
      rememberTokens: 100,
      keysMaxAgeMinutes: MAX_AGE_MS / 60_000,
      keysStaleHours: 24,
      keysCooldownSeconds: COOLDOWN_MS / 1000,
      keysTimeoutSeconds: 2,
    },
    onTurnedAway: async () => {},
  });
});

afterEach(() => entra.close());

function publish(...keys: TestKey[]): void {
  const body = JSON.stringify({ keys: keys.map(toJwk) });
  answer = response => void response.setHeader('content-type', 'application/json').end(body);
}

const fail = () => {
  answer = response => void response.writeHead(503).end();
};
const hang = () => {
  answer = () => {};
};

/** `in` or the code of the refusal. */
async function enter({ kid, privateKey }: TestKey): Promise<string> {
  const claims = sampleClaims({ iss: `${entra.origin}/${TENANT}/v2.0`, exp: clock / 1000 + 3600 });
  const token = forge({ typ: 'JWT', alg: 'RS256', kid }, claims, privateKey);
  const headers = new Headers({ authorization: `Bearer ${token}` });
  const url = new URL('https://axe.example/frame/mcp');
  const request = { headers, url, origin: 'https://axe.example', requestId: 'r-1', from: '127.0.0.1' };
  try {
    await access.authenticate(request, [axe]);
    return 'in';
  } catch (thrown) {
    if (!(thrown instanceof FrameError)) throw thrown;
    if (thrown.code === 'unavailable') expect(thrown.retryAfterSeconds).toBe(COOLDOWN_MS / 1000);
    return thrown.code;
  }
}

describe('Entra makes a new key and cannot be asked for it', () => {
  test('F7: its tokens are refused, the old ones are not, and with the first answer they get in', async () => {
    expect(await enter(old)).toBe('in');
    fail();
    clock += COOLDOWN_MS;
    expect(await enter(fresh)).toBe('access/token-invalid');
    expect(await enter(old)).toBe('in');
    publish(old, fresh);
    // Nobody asks again before the cooldown is over.
    clock += COOLDOWN_MS - 1;
    expect(await enter(fresh)).toBe('access/token-invalid');
    expect(attempts).toBe(2);
    clock += 1;
    expect(await enter(fresh)).toBe('in');
  });

  test('F7: strangers with made-up keys cause one attempt per cooldown', async () => {
    const stranger = (n: number) => enter({ ...fresh, kid: `made-up-${n}` });
    const crowd = async () => new Set(await Promise.all(Array.from({ length: 50 }, (_, n) => stranger(n))));
    expect(await enter(old)).toBe('in');
    fail();
    clock += COOLDOWN_MS;
    for (let twice = 0; twice < 2; twice += 1) expect(await crowd()).toEqual(new Set(['access/token-invalid']));
    expect(attempts).toBe(2);
  });
});

describe('Entra withdraws a key', () => {
  const HOURS = 3_600_000;

  test('the first token under it, after a quiet night, is refused', async () => {
    expect(await enter(old)).toBe('in');
    publish(fresh);
    clock += 12 * HOURS;
    expect(await enter(old)).toBe('access/token-invalid');
    expect(await enter(fresh)).toBe('in');
    expect(attempts).toBe(2);
  });

  test('up to twice their age, keys make nobody wait for the new ones', async () => {
    expect(await enter(old)).toBe('in');
    hang();
    clock += 2 * MAX_AGE_MS;
    expect(await enter(old)).toBe('in');
    expect(observations.of('keys-unreachable')).toEqual([]);
  });

  test.each([
    ['refuses', fail],
    ['hangs', hang],
  ])('while Entra %s, old keys count on until they are beyond trust', async (_, breakDown) => {
    expect(await enter(old)).toBe('in');
    breakDown();
    clock += 24 * HOURS;
    const several = await Promise.all([enter(old), enter(old), enter(old)]);
    expect(several).toEqual(['in', 'in', 'in']);
    expect(attempts).toBe(2);
    // Nobody waits again before the cooldown is over.
    expect(await enter(old)).toBe('in');
    expect(attempts).toBe(2);
    clock += MAX_AGE_MS;
    expect(await enter(old)).toBe('unavailable');
  });
});
