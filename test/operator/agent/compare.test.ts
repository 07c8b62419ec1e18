import { describe, expect, test } from 'vitest';
import { createObserver } from '../../../src/observe.ts';
import { describe as tell, whyWorse } from '../../../src/operator/agent/compare.ts';
import { between, type Counts, countsIn } from '../../../src/operator/agent/metrics.ts';
import { baselineOf } from '../../../src/operator/agent/watch.ts';

const LIMITS = { seconds: 10, errorPoints: 2, latencyFactor: 3, minRequests: 20 };

function counts({
  tools = {},
  ...rest
}: Partial<Omit<Counts, 'tools'>> & { tools?: Record<string, [number, number]> }) {
  const map = Object.entries(tools).map(([name, [calls, seconds]]) => [name, { calls, seconds }] as const);
  return { requests: 0, errors: 0, calls: 0, failures: 0, ...rest, tools: new Map(map) } satisfies Counts;
}

describe('the new slot', () => {
  const old = counts({
    requests: 1000,
    errors: 10,
    calls: 1000,
    failures: 0,
    tools: { read: [900, 9], write: [100, 20] },
  });
  const cases: [string, Counts, Counts | undefined, RegExp | undefined][] = [
    ['without any request is no worse', counts({}), old, undefined],
    ['with all of too few requests failed is no worse', counts({ requests: 19, errors: 19 }), old, undefined],
    ['with two points more errors is no worse', counts({ requests: 100, errors: 3 }), old, undefined],
    [
      'with more is',
      counts({ requests: 100, errors: 4 }),
      old,
      /^4\.0 % of 100 answers are .*; before it were 1\.0 %$/,
    ],
    ['is held against none at first', counts({ requests: 100, errors: 3 }), undefined, /^3\.0 % of 100 answers/],
    [
      'is held against none when the old one did too little',
      counts({ requests: 20, errors: 1 }),
      counts({ requests: 3, errors: 3 }),
      /^5\.0 %/,
    ],
    ['with failing calls is worse', counts({ calls: 20, failures: 1 }), old, /^5\.0 % of 20 calls of tools failed/],
    [
      'with errors as before is no worse',
      counts({ requests: 100, errors: 50 }),
      counts({ requests: 50, errors: 25 }),
      undefined,
    ],
    ['three times as slow is no worse', counts({ tools: { write: [20, 12] } }), old, undefined],
    ['slower than that is', counts({ tools: { write: [20, 13] } }), old, /takes 650 ms on average; .* 200 ms before$/],
    ['that gets other calls than before is no worse', counts({ tools: { write: [100, 20] } }), old, undefined],
    ['with calls that the old one never had is no worse', counts({ tools: { import: [100, 900] } }), old, undefined],
    ['that is slower by what nobody notices is no worse', counts({ tools: { read: [100, 5] } }), old, undefined],
    ['with too few calls is no worse', counts({ tools: { read: [19, 190] } }), old, undefined],
    [
      'compared with too few calls is no worse',
      counts({ tools: { read: [100, 900] } }),
      counts({ tools: { read: [19, 1] } }),
      undefined,
    ],
  ];
  test.each(cases)('%s', (_, fresh, before, expected) => {
    const why = whyWorse(fresh, before, LIMITS);
    if (expected) expect(why).toMatch(expected);
    else expect(why).toBeUndefined();
  });
});

test('what the gateway counts is what is read here', async () => {
  const { observe, metrics } = createObserver('silent', { release: 'r', slot: 'blue' });
  const request = (route: string, status: number) =>
    observe({ kind: 'request', id: '', method: 'POST', route, status, milliseconds: 1 });
  for (const status of [200, 401, 500, 503]) request('/frame/mcp', status);
  for (const route of ['ready', 'live', 'health', 'metrics']) request(`/frame/${route}`, 503);
  request('-', 404);
  for (const outcome of ['ok', 'refused', 'error', 'unknown'] as const) {
    const facts = { requestId: '', customer: 'axe', entity: undefined, code: undefined, detail: undefined };
    observe({ kind: 'tool-called', tool: 'select_rows', outcome, milliseconds: 250, ...facts });
  }
  expect(countsIn(await metrics())).toEqual(
    counts({ requests: 5, errors: 2, calls: 4, failures: 2, tools: { select_rows: [4, 1] } }),
  );
});

test('odd lines are passed over, and labels may hold anything', () => {
  const text = `# HELP x y
frame_http_requests_total{route="a\\"}b,c",status="500"} 2
frame_http_requests_total 3

nonsense {`;
  expect(countsIn(text)).toEqual(counts({ requests: 5, errors: 2 }));
});

describe('what happened between', () => {
  const early = counts({ requests: 10, errors: 1, calls: 5, failures: 1, tools: { read: [5, 1] } });
  const late = counts({ requests: 30, errors: 2, calls: 9, failures: 1, tools: { read: [8, 2], write: [1, 1] } });

  test('two looks is the difference', () => {
    const difference = counts({ requests: 20, errors: 1, calls: 4, tools: { read: [3, 1], write: [1, 1] } });
    expect(between(early, late)).toEqual(difference);
  });

  test('two looks at different processes is all of the later one', () => {
    expect(between(late, early)).toEqual(early);
    expect(between(undefined, late)).toEqual(late);
  });

  test('is the yardstick when it is enough, else the whole life', () => {
    const much = counts({ requests: 100, calls: 100 });
    expect(baselineOf(counts({ requests: 50, calls: 50 }), much, 20)).toMatchObject({ requests: 50 });
    expect(baselineOf(counts({ requests: 90, calls: 90 }), much, 20)).toMatchObject({ requests: 100 });
  });

  test('is what was known before when it did not answer at the flip', () => {
    const much = counts({ requests: 100, calls: 100 });
    expect(baselineOf(much, undefined, 20)).toBe(much);
    expect(baselineOf(undefined, undefined, 20)).toBeUndefined();
  });
});

test('for people it is one line', () => {
  const fresh = counts({ requests: 3, errors: 1, calls: 2 });
  expect(tell(fresh, undefined)).toBe('requests: 3, 33.3 % errors; tool calls: 2, 0.0 % failed');
  expect(tell(fresh, fresh)).toMatch(/ \(before: requests: 3, .*\)$/);
});
