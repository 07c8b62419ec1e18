import { expect, test } from 'vitest';
import { RateExceeded, type RateState } from '../../src/access/rates.ts';
import { asGood, ask, callTool, post } from './client.ts';
import { createFixtureDoor, startGateway } from './fixture.ts';

const rule = { name: 'caller', perMinute: 2 };
const state = (remaining: number, isOver = false): RateState => ({ rule, isOver, remaining, resetSeconds: 7 });

test('every answer to somebody says what is left, and one too many is 429 before its body is read', async () => {
  const door = createFixtureDoor();
  const states = [state(1), state(0), state(0, true), state(0, true)];
  await using stack = new AsyncDisposableStack();
  const gateway = await startGateway({ door, takeRate: async () => states.shift() ?? state(0, true) });
  stack.defer(() => gateway.stop());

  const first = await post(gateway, callTool('echo'));
  expect(first.status).toBe(200);
  expect(first.headers).toMatchObject({ 'ratelimit-policy': '"caller";q=2;w=60', ratelimit: '"caller";r=1;t=7' });
  const second = await post(gateway, callTool('refuse'));
  expect(second.headers.ratelimit).toBe('"caller";r=0;t=7');

  const third = await post(gateway, 'no JSON at all');
  expect(third.status).toBe(429);
  expect(third.headers).toMatchObject({ 'retry-after': '7', ratelimit: '"caller";r=0;t=7' });
  expect(JSON.parse(third.body)).toMatchObject({ code: 'limit/requests', status: 429 });
  const fourth = await ask(gateway, '/api/tool', { method: 'POST', headers: asGood, body: '{"tool":"echo"}' });
  expect([fourth.status, JSON.parse(fourth.body).code]).toEqual([429, 'limit/requests']);
  expect(door.calls).toHaveLength(2);
});

test('a tool with a limit of its own is 429 where there is a status, and the header fields speak of that limit', async () => {
  const over = { rule: { name: 'run_sql', perMinute: 3 }, isOver: true, remaining: 0, resetSeconds: 9 };
  const door = createFixtureDoor({ run_sql: () => ({ ok: false, error: new RateExceeded(over) }) });
  await using stack = new AsyncDisposableStack();
  const gateway = await startGateway({ door, takeRate: async () => state(1) });
  stack.defer(() => gateway.stop());

  const { status, headers, body } = await ask(gateway, '/api/tool', {
    method: 'POST',
    headers: asGood,
    body: '{"tool":"run_sql"}',
  });
  expect([status, JSON.parse(body)]).toEqual([
    429,
    {
      success: false,
      error: 'More than 3 calls of `run_sql` in a minute.',
      code: 'limit/requests',
      hint: 'Wait 9 s, and ask for more at once instead of more often.',
    },
  ]);
  expect(headers).toMatchObject({
    'retry-after': '9',
    'ratelimit-policy': '"run_sql";q=3;w=60',
    ratelimit: '"run_sql";r=0;t=9',
  });
  // A model reads results, so over MCP it is one.
  const told = await post(gateway, callTool('run_sql'));
  expect(JSON.parse(told.body)).toMatchObject({
    result: { isError: true, structuredContent: { code: 'limit/requests', retryable: true } },
  });
});

test('a batch counts as often as it has messages', async () => {
  const door = createFixtureDoor();
  const states = [state(2), state(1), state(0), state(0, true)];
  await using stack = new AsyncDisposableStack();
  const gateway = await startGateway({ door, takeRate: async () => states.shift() ?? state(0, true) });
  stack.defer(() => gateway.stop());
  const batch = (count: number) => `[${Array.from({ length: count }, (_, i) => callTool('echo', {}, i)).join()}]`;
  expect((await post(gateway, batch(3))).status).toBe(200);
  expect((await post(gateway, batch(2))).status).toBe(429);
  expect(door.calls).toHaveLength(3);
});

test('who is not known is not counted', async () => {
  let counted = 0;
  await using stack = new AsyncDisposableStack();
  const gateway = await startGateway({
    async takeRate() {
      counted += 1;
      return state(1);
    },
  });
  stack.defer(() => gateway.stop());
  const { status, headers } = await post(gateway, callTool('echo'), { authorization: 'Bearer bad' });
  expect([status, counted]).toEqual([401, 0]);
  expect(headers).not.toHaveProperty('ratelimit');
});
