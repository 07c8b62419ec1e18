import { describe, expect, test } from 'vitest';
import type { HistoryLine, Inspection } from '../../src/operator/agent/protocol.ts';
import type { Examination, Outside } from '../../src/operator/health/examination.ts';
import { judge } from '../../src/operator/health/judge.ts';
import { toJson, toText } from '../../src/operator/health/report.ts';
import type { TailnetNode } from '../../src/operator/health/tailnet.ts';
import { customerNamed } from '../http/fixture.ts';

const NOW = Date.UTC(2026, 10, 23, 14, 0, 0);
const DAY_MS = 86_400_000;
const NEW = '20261120T135514Z-aaae36e';
const OLD = '20261110T080000Z-0123456';
const customer = { ...customerNamed('axe', { origin: 'https://axe.example' }), host: 'axe-mac' };

const ready = (release: string, slot: string, changes: object = {}) => ({
  status: 200,
  body: { status: 'ready', customer: 'axe', release, slot, checks: { database: 'ok', migrations: 'ok' }, ...changes },
});

function machine(changes: Partial<Inspection> = {}): Inspection {
  return {
    host: { customer: 'axe', ports: { blue: 3710, green: 3711, proxy: 3712 }, supervisor: 'launchd' },
    platform: 'darwin-arm64',
    live: 'blue',
    slots: {
      blue: { release: NEW, pid: 101, held: false, ready: ready(NEW, 'blue') },
      green: { release: OLD, pid: 102, held: false, ready: ready(OLD, 'green') },
    },
    releases: [OLD, NEW],
    proxy: { status: 200, slot: 'blue', release: NEW },
    disk: { freeBytes: 81e9, totalBytes: 500e9 },
    history: [line({ from: OLD, to: NEW })],
    files: { customers: 'abc' },
    envNames: ['FRAME_CUSTOMER', 'FRAME_DATABASE_URL'],
    ...changes,
  };
}

function line(changes: Partial<HistoryLine>): HistoryLine {
  return { at: '2026-11-20T14:00:00Z', by: 'anna@laptop', verb: 'deploy', result: 'ok', ms: 1, ...changes };
}

const outside = (changes: Partial<Outside> = {}): Outside => ({
  certificate: { daysLeft: 61, until: NOW + 61 * DAY_MS },
  status: 200,
  release: NEW,
  ...changes,
});
const node = (changes: Partial<TailnetNode> = {}): TailnetNode => ({
  name: 'axe-mac.ts.net',
  isOnline: true,
  isExpired: false,
  ...changes,
});

const seen = (changes: Partial<Examination> = {}): Examination => ({
  customer,
  machine: machine(),
  outside: outside(),
  node: node(),
  ...changes,
});
const verdict = (changes: Partial<Examination>) => judge(seen(changes), { minFreeMegabytes: 1024 }, NOW);
const onMachine = (changes: Partial<Inspection>) => verdict({ machine: machine(changes) });
const withSlot = (slot: 'blue' | 'green', changes: object) =>
  onMachine({ slots: { ...machine().slots, [slot]: { ...machine().slots[slot], ...changes } } });

describe('well', () => {
  test('with all there is, and with as little as there may be', () => {
    expect(verdict({})).toEqual({ state: 'ok', complaints: [] });
    expect(verdict({ outside: undefined, node: undefined })).toEqual({ state: 'ok', complaints: [] });
  });

  test('before the second deploy, when the other slot holds nothing', () => {
    expect(withSlot('green', { release: undefined, pid: 102, ready: undefined }).state).toBe('ok');
  });

  test('while a deploy is under way, when live may have changed between two looks', () => {
    const lock = { by: 'anna@laptop', verb: 'deploy', ageSeconds: 4, alive: true };
    expect(verdict({ machine: machine({ lock }), outside: outside({ release: OLD }) }).state).toBe('ok');
  });
});

describe('degraded', () => {
  /** Which one is the affair of `frame status`, whose words these are. */
  const COMMAND = expect.stringMatching(/^frame (deploy|rollback|provision) axe/);
  const checks = { database: 'failed', migrations: 'ok' };
  test.each([
    ['the other slot is down', withSlot('green', { ready: undefined }), 'green, the other slot,', COMMAND],
    ['the other slot is stopped', withSlot('green', { held: true }), 'green, the other slot, is stopped', COMMAND],
    [
      'nobody runs the other slot',
      withSlot('green', { pid: undefined, ready: undefined }),
      'nobody starts it',
      ['frame slot status axe', COMMAND],
    ],
    [
      'nobody knows which process the other slot is',
      withSlot('green', { pid: undefined }),
      'end it by hand',
      'ssh axe-mac lsof -nP -iTCP:3711 -sTCP:LISTEN',
    ],
    ['the live slot is down', withSlot('blue', { ready: undefined }), 'blue, which is live, does not answer', COMMAND],
    [
      'the live slot lost its database',
      withSlot('blue', { ready: { ...ready(NEW, 'blue', { checks }), status: 503 } }),
      'blue says that it fails: database.',
      'frame slot status axe',
    ],
    [
      'a slot runs another release',
      withSlot('blue', { ready: ready(OLD, 'blue') }),
      `holds release ${NEW}, but runs ${OLD}`,
      COMMAND,
    ],
    ['no slot is live', onMachine({ live: undefined }), 'No slot is live', COMMAND],
    ['the proxy is down', onMachine({ proxy: undefined }), "the proxy's port 3712", COMMAND],
    [
      'the proxy answers with the other slot',
      onMachine({ proxy: { status: 200, slot: 'green', release: OLD } }),
      'answers green, but blue is live',
      COMMAND,
    ],
    [
      'little disk',
      onMachine({ disk: { freeBytes: 1.5e9, totalBytes: 500e9 } }),
      '1.5 GB are free on its disk',
      'frame slot cleanup axe',
    ],
    [
      'a lock is left',
      onMachine({ lock: { by: 'bob@pc', verb: 'deploy', ageSeconds: 7200, alive: false } }),
      'bob@pc left a lock behind',
      COMMAND,
    ],
    ['a verb was interrupted', onMachine({ history: [line({ result: 'interrupted' })] }), 'was interrupted', COMMAND],
    [
      'it is the machine of somebody else',
      onMachine({ host: { ...machine().host, customer: 'zoo' } }),
      'provisioned for `zoo`',
      'frame status axe',
    ],
    [
      'another release answers from outside',
      verdict({ outside: outside({ release: OLD }) }),
      `From here, release ${OLD} answers, but ${NEW} is live`,
      'frame doctor axe',
    ],
    [
      'a stranger answers from outside',
      verdict({ outside: outside({ release: undefined, fault: 'Cloudflare answers 530.' }) }),
      'Cloudflare answers 530.',
      'frame doctor axe',
    ],
    [
      'its certificate ends',
      verdict({ outside: outside({ certificate: { daysLeft: 13, until: NOW + 13.5 * DAY_MS } }) }),
      'ends in 13 days, on 2026-12-07',
      'frame doctor axe',
    ],
    [
      'its key has expired',
      verdict({ node: node({ isExpired: true, isOnline: false }) }),
      'key in the tailnet has expired',
      undefined,
    ],
    [
      'its key ended, and nobody noticed yet',
      verdict({ node: node({ keyExpiry: NOW - 1 }) }),
      'key in the tailnet has expired',
      undefined,
    ],
    ['its key ends soon', verdict({ node: node({ keyExpiry: NOW + 3 * DAY_MS }) }), 'ends on 2026-11-26', undefined],
    [
      'it is offline',
      verdict({ node: node({ isOnline: false, lastSeen: NOW - 3 * 3_600_000 }) }),
      'offline in the tailnet (axe-mac.ts.net), for 3 h',
      'tailscale ping axe-mac.ts.net',
    ],
  ])('%s', (_, { state, complaints }, sentence, mend) => {
    expect(state).toBe('degraded');
    const complaint = complaints.find(each => each.sentence.includes(sentence));
    expect(complaint, JSON.stringify(complaints)).toBeDefined();
    expect(complaint?.mend).toEqual(mend === undefined ? [] : [mend].flat());
  });

  test('a bad certificate is one complaint, not two', () => {
    const fault = 'The certificate ended.';
    const bad = outside({ certificate: { daysLeft: -1, until: NOW, fault }, fault: 'No answer.' });
    expect(verdict({ outside: bad }).complaints).toEqual([
      { sentence: 'The certificate ended.', mend: ['frame doctor axe'] },
    ]);
  });

  test('a machine that answers and will not be asked', () => {
    const refusal = {
      isReached: true,
      sentence: 'There is no Frame on the machine.',
      hint: 'Run `frame provision axe` first.',
    };
    expect(verdict({ machine: refusal })).toEqual({
      state: 'degraded',
      complaints: [
        {
          sentence: 'There is no Frame on the machine. Run `frame provision axe` first.',
          mend: ['frame provision axe'],
        },
      ],
    });
  });
});

test('unreachable: what is seen from outside is said nevertheless', () => {
  const machine = { isReached: false, sentence: 'axe-mac gave no answer within 7 s.' };
  expect(verdict({ machine, node: node({ isOnline: false }) })).toEqual({
    state: 'unreachable',
    complaints: [
      { sentence: 'axe-mac gave no answer within 7 s.', mend: ['ssh axe-mac'] },
      { sentence: 'It is offline in the tailnet (axe-mac.ts.net).', mend: ['tailscale ping axe-mac.ts.net'] },
    ],
  });
});

describe('what is shown', () => {
  const reported = (changes: Partial<Examination>) => ({ ...seen(changes), ...verdict(changes) });
  const bolt = { ...customer, id: 'bolt-and-sons', origin: undefined };
  const paint = (state: string, text: string) => `<${state}>${text}</>`;

  test('a table in columns, the state painted, details below', () => {
    const down = { isReached: false, sentence: 'bolt-mac gave no answer.' };
    const lines = toText(
      [reported({}), reported({ customer: bolt, machine: down, outside: undefined, node: undefined })],
      NOW,
      paint,
    );
    expect(lines).toEqual([
      'CUSTOMER       STATE        LIVE  RELEASE                   AGE     BLUE   GREEN  PROXY  CHECKS  DISK     PUBLIC  CERT     TAILNET',
      'axe            <ok>ok</>           blue  20261120T135514Z-aaae36e  3 days  ready  ready  blue   ok      81.0 GB  ok      61 days  online',
      'bolt-and-sons  <unreachable>unreachable</>  ?     ?                         ?       ?      ?      ?      ?       ?        -       -        -',
      '',
      'bolt-and-sons',
      '  bolt-mac gave no answer.',
      '      ssh axe-mac',
    ]);
  });

  test('nothing of a machine moves the cursor or turns the writing', () => {
    const evil = '\u001b[2J\u009b31m\u202e\u0007\nx';
    const slots = {
      ...machine().slots,
      blue: { release: evil, pid: 1, held: false, ready: ready(evil, 'blue', { checks: { [evil]: 'failed' } }) },
    };
    const lock = { by: evil, verb: evil, ageSeconds: 1, alive: false };
    const changes = {
      machine: machine({ slots, lock, proxy: { status: 200, slot: evil, release: evil } }),
      outside: outside({ release: evil, fault: evil }),
      node: node({ name: evil, isOnline: false }),
    };
    const lines = toText([reported(changes)], NOW, (_, text) => text);
    expect(lines.length).toBeGreaterThan(5);
    expect(lines.join('')).not.toMatch(/[\p{Cc}\p{Cf}]/u);
  });

  test('a release of another name has no age', () => {
    const slots = { ...machine().slots, blue: { ...machine().slots.blue, release: 'dev' } };
    expect(toText([reported({ machine: machine({ slots }) })], NOW, (_, text) => text)[1]).toMatch(
      / {2}dev {2,}- {2,}/,
    );
  });

  test('for programs', () => {
    expect(toJson(reported({ node: node({ keyExpiry: NOW + 300 * DAY_MS }) }))).toMatchObject({
      customer: 'axe',
      host: 'axe-mac',
      state: 'ok',
      complaints: [],
      machine: {
        live: 'blue',
        release: NEW,
        slots: { blue: { release: NEW, pid: 101, held: false, ready: true }, green: { release: OLD, pid: 102 } },
        proxy: { status: 200, slot: 'blue', release: NEW },
        disk: { free_bytes: 81e9, total_bytes: 500e9 },
        lock: null,
      },
      public: {
        origin: 'https://axe.example',
        ok: true,
        status: 200,
        release: NEW,
        certificate: { days_left: 61, fault: null },
      },
      tailnet: {
        name: 'axe-mac.ts.net',
        online: true,
        expired: false,
        key_expiry: '2027-09-19T14:00:00.000Z',
        last_seen: null,
      },
    });
    const down = { isReached: false, sentence: 'No answer.' };
    expect(toJson(reported({ machine: down, outside: undefined, node: undefined }))).toMatchObject({
      machine: null,
      public: null,
      tailnet: null,
    });
  });
});
