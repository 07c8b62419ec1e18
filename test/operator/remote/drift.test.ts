import { describe, expect, test } from 'vitest';
import type { HistoryLine, Inspection, SlotState } from '../../../src/operator/agent/protocol.ts';
import { DEFAULT_REF, type Expected, findDrifts, type Seen } from '../../../src/operator/remote/drift.ts';

const OLD = '20261119T100000Z-aaaaaaa';
const NEW = '20261120T100000Z-bbbbbbb';

const EXPECTED: Expected = {
  customer: 'axe',
  host: 'axe-macmini',
  ref: DEFAULT_REF,
  release: NEW,
  customersDigest: 'd1',
  variables: ['AXE_SECRET'],
  services: { vault: '127.0.0.1:8443' },
};

function slot(release: string, changes: Partial<SlotState> = {}): SlotState {
  return { release, pid: 4711, held: false, ready: { status: 200, body: { release, customer: 'axe' } }, ...changes };
}

function line(changes: Partial<HistoryLine>): HistoryLine {
  return { at: '2026-11-20T10:00:00.000Z', by: 'anna@laptop', verb: 'deploy', result: 'ok', ms: 1, ...changes };
}

/** Green is live with what is checked out, blue holds what served before: nothing is to be done. */
const GOOD: Inspection = {
  host: { customer: 'axe', ports: { blue: 3710, green: 3711, proxy: 3712 }, supervisor: 'launchd' },
  platform: 'darwin-arm64',
  live: 'green',
  slots: { blue: slot(OLD), green: slot(NEW) },
  releases: [OLD, NEW],
  proxy: { status: 200, slot: 'green', release: NEW },
  disk: { freeBytes: 1e11, totalBytes: 2e11 },
  history: [line({ to: OLD }), line({ from: OLD, to: NEW })],
  files: { customers: 'd1' },
  envNames: ['AXE_SECRET', 'FRAME_CUSTOMER', 'FRAME_DATABASE_URL'],
};

/** `drift or note: sentence → command`. */
function tell(found: Partial<Inspection>, expected: Partial<Expected> = {}, plan?: Seen['plan']): string[] {
  const drifts = findDrifts({ ...EXPECTED, ...expected }, { found: { ...GOOD, ...found }, ...(plan && { plan }) });
  return drifts
    .filter(({ sentence }) => !sentence.endsWith('which served before.'))
    .map(({ kind, sentence, mend }) => `${kind}: ${[sentence, ...mend].join(' → ')}`);
}

test('nothing to do: the release before waits for a rollback, and that is no difference', () => {
  expect(findDrifts(EXPECTED, { found: GOOD, plan: { done: [], left: [] } })).toEqual([
    {
      kind: 'note',
      about: 'slot',
      sentence: `blue, the other slot, holds release ${OLD}, which served before.`,
      mend: ['frame rollback axe'],
    },
  ]);
});

test('of another company’s machine only that is said', () => {
  const host = { ...GOOD.host, customer: 'nordwind' };
  expect(tell({ host, live: undefined, files: {}, envNames: [], proxy: undefined })).toEqual([
    'drift: The machine was provisioned for `nordwind`, not for `axe`: correct `host` in customers.yaml, and look again. → frame status axe',
  ]);
});

describe('who serves', () => {
  const empty: SlotState = { held: false };

  test.each<[string, Partial<Inspection>, string]>([
    [
      'nobody, on a new machine',
      { live: undefined, slots: { blue: empty, green: empty }, releases: [], history: [] },
      'drift: No release was ever deployed there. → frame deploy axe',
    ],
    [
      'nobody, though there are releases',
      { live: undefined },
      'drift: No slot is live: everybody is answered 503. → frame deploy axe',
    ],
    [
      'nobody reaches it',
      { proxy: undefined },
      "drift: Nobody listens on the proxy's port 3712: everybody is shut out. → frame provision axe",
    ],
    [
      'a proxy that hangs',
      { proxy: { status: 0 } },
      'drift: Through the proxy comes no answer. → frame slot status axe',
    ],
    [
      'a proxy without a slot',
      { proxy: { status: 503 } },
      'drift: Through the proxy comes 503, and not from a slot. → frame slot status axe',
    ],
    [
      'the other slot',
      { proxy: { status: 200, slot: 'blue', release: OLD } },
      'drift: Through the proxy answers blue, but green is live. → frame provision axe',
    ],
    [
      'another release than the slot holds',
      { proxy: { status: 200, slot: 'green', release: OLD } },
      `drift: Through the proxy answers release ${OLD}, but green holds ${NEW}. → frame slot status axe`,
    ],
  ])('%s', (_, found, sentence) => expect(tell(found)).toEqual([sentence]));
});

describe('the release', () => {
  const onBlue: Partial<Inspection> = { live: 'blue', proxy: { status: 200, slot: 'blue', release: OLD } };

  test('git is ahead', () => {
    const release = '20261121T100000Z-ccccccc';
    expect(tell({}, { release })).toEqual([
      `drift: Release ${NEW} is live, but HEAD is ${release}. → frame deploy axe`,
    ]);
    expect(tell({}, { release, ref: 'v2' })).toEqual([
      `drift: Release ${NEW} is live, but v2 is ${release}. → frame deploy axe --ref v2`,
    ]);
  });

  test('the command can be copied into a shell, whatever the branch is called', () => {
    const [said] = tell({}, { release: 'x', ref: "a'$(reboot);b" });
    expect(said).toContain(`→ frame deploy axe --ref 'a'\\''$(reboot);b'`);
  });

  test('it waits in the other slot', () => {
    expect(tell({ ...onBlue, history: [line({ to: OLD }), line({ to: NEW, result: 'staged' })] })).toEqual([
      `drift: Release ${OLD} is live, but HEAD is ${NEW}, which waits in green. → frame promote axe`,
      `note: green, the other slot, holds release ${NEW}, and it does not serve.`,
    ]);
  });

  test('it was tried, and went back: nobody is told to promote it', () => {
    const reverted = line({ from: OLD, to: NEW, result: 'reverted', reason: '9 of 10 answers were 500' });
    const [said] = tell({ ...onBlue, history: [line({ to: OLD }), reverted] });
    expect(said).toBe(
      `drift: Release ${OLD} is live, but HEAD is ${NEW}, which was tried and did not stay: 9 of 10 answers were 500 → frame deploy axe`,
    );
  });
});

describe('a slot', () => {
  const RESTAGED = 'frame deploy axe --ref aaaaaaa --no-promote';

  test.each<[string, SlotState, string]>([
    ['is stopped', slot(OLD, { held: true, ready: undefined }), `is stopped. → ${RESTAGED}`],
    [
      'is not kept alive',
      { release: OLD, held: false },
      'does not run: nobody starts it, or it ends at once. → frame slot status axe → frame provision axe',
    ],
    [
      'could not write its number on a full disk',
      slot(OLD, { pid: undefined }),
      'answers, but could not write down which process it is (a full disk?). Find it, and end it by hand: it is started again, and known then. → ssh axe-macmini lsof -nP -iTCP:PORT -sTCP:LISTEN',
    ],
    ['is silent', slot(OLD, { ready: undefined }), `does not answer (process 4711). → ${RESTAGED}`],
    [
      'is unwell',
      slot(OLD, { ready: { status: 503, body: {} } }),
      `answers 503 when asked whether it is ready. → ${RESTAGED}`,
    ],
    [
      'runs something else than it holds',
      slot(OLD, { ready: { status: 200, body: { release: NEW, customer: 'axe' } } }),
      `holds release ${OLD}, but runs ${NEW}. → ${RESTAGED}`,
    ],
    [
      'is pinned to another company',
      slot(OLD, { ready: { status: 200, body: { release: OLD, customer: 'nordwind' } } }),
      'serves `nordwind`: FRAME_CUSTOMER in shared/env was wrong when it started. → frame provision axe → frame deploy axe',
    ],
    [
      'is pinned to nobody',
      slot(OLD, { ready: { status: 200, body: { release: OLD, customer: null } } }),
      'serves whomever its customers.yaml names: FRAME_CUSTOMER in shared/env was wrong when it started. → frame provision axe → frame deploy axe',
    ],
  ])('%s', (_, blue, sentence) => {
    const asIdle = sentence.replace('PORT', '3710');
    expect(tell({ slots: { ...GOOD.slots, blue } })).toEqual([`drift: blue, the other slot, ${asIdle}`]);
    const asLive = sentence.replace(RESTAGED, 'frame rollback axe').replace('PORT', '3711');
    expect(tell({ slots: { blue: slot(NEW), green: blue } })).toContain(`drift: green, which is live, ${asLive}`);
  });

  test('that did not pass its gate: nobody is told to try it again, but what served before may wait there', () => {
    const bad = '20261118T100000Z-ccccccc';
    const stopped = { slots: { ...GOOD.slots, blue: slot(bad, { held: true, ready: undefined }) } };
    const tried = line({ from: NEW, to: bad, live: NEW, result: 'gate-failed' });
    expect(tell({ ...stopped, history: [...GOOD.history, tried] })).toEqual([
      `drift: blue, the other slot, is stopped. → ${RESTAGED}`,
    ]);
    expect(tell({ ...stopped, history: [line({ to: NEW }), tried] })).toEqual([
      'drift: blue, the other slot, is stopped. → frame deploy axe',
    ]);
  });

  test('that serves with what shared/env was: a deploy starts it anew, and a rollback the other one', () => {
    const [blue, green] = [slot(OLD, { oldEnv: true }), slot(NEW, { oldEnv: true })];
    expect(tell({ slots: { blue, green } })).toEqual([
      'drift: green, which is live, began before shared/env was changed. → frame deploy axe',
    ]);
  });

  test('after the first deploy the other one is empty, and that is no difference', () => {
    expect(tell({ slots: { ...GOOD.slots, blue: { held: false, pid: 9 } } })).toEqual([]);
  });
});

describe('the rest of the machine', () => {
  test('customers.yaml', () => {
    expect(tell({ files: { customers: 'd2' } })).toEqual([
      "drift: This customer's part of customers.yaml is another one there than here. → frame deploy axe",
    ]);
    expect(tell({ files: {} })).toEqual(['drift: There is no customers.yaml there. → frame deploy axe']);
  });

  test('variables that it reads', () => {
    expect(tell({ envNames: ['AXE_SECRE', 'FRAME_CUSTOMER'] })).toEqual([
      'drift: customers.yaml reads AXE_SECRET, which nobody has set there. → AXE_SECRET=… frame provision axe',
      'drift: shared/env there lacks FRAME_DATABASE_URL, without which no slot starts. → frame provision axe',
    ]);
  });

  test('a service that was promised a port of ours', () => {
    expect(tell({}, { services: { vault: '127.0.0.1:3711', stream: '[::1]:3712', other: '127.0.0.1:37' } })).toEqual([
      'drift: The port 3711 of the service `vault` is that of green there: give the service another one in customers.yaml, and provision. → frame provision axe',
      'drift: The port 3712 of the service `stream` is that of proxy there: give the service another one in customers.yaml, and provision. → frame provision axe',
    ]);
  });

  test('what provisioning would change is a difference, what it leaves to people is worth knowing', () => {
    const done = ['proxy/Caddyfile  changed', 'shared/customers.yaml  changed', 'units/ai.frame.blue.plist  created'];
    const left = [{ sentence: 'Caddy 2.6 is old:', commands: ['brew upgrade caddy', 'frame provision axe'] }];
    expect(tell({}, {}, { done, left })).toEqual([
      'drift: proxy/Caddyfile is not as it should be; it would be changed. → frame provision axe',
      'drift: units/ai.frame.blue.plist is not as it should be; it would be created. → frame provision axe',
      'note: Caddy 2.6 is old: → brew upgrade caddy → frame provision axe',
    ]);
  });

  test('an interrupted verb', () => {
    expect(tell({ history: [...GOOD.history, line({ to: OLD, result: 'interrupted' })] })).toEqual([
      'drift: The last deploy, by anna@laptop at 2026-11-20T10:00:00.000Z, was interrupted. → frame deploy axe',
    ]);
  });

  test('a lock: left behind, or of somebody who works there now', () => {
    const lock = { by: 'anna@laptop', verb: 'deploy', ageSeconds: 300, alive: false };
    expect(tell({ lock })).toEqual([
      'drift: anna@laptop left a lock behind 5 min ago: deploy was killed. The next command takes it, and sets right what is half done. → frame deploy axe',
    ]);
    expect(tell({ lock: { ...lock, alive: true } })).toEqual([
      'note: anna@laptop works there now: deploy, for 5 min. → frame slot status axe',
    ]);
  });

  test.each([
    ['deploy', 'frame deploy axe'],
    ['provision', 'frame provision axe'],
    // A second rollback would go forward again, and a second promote back.
    ['rollback', 'frame slot cleanup axe'],
    ['promote', 'frame slot cleanup axe'],
    ['cleanup', 'frame slot cleanup axe'],
    ['$(reboot)', 'frame slot cleanup axe'],
  ])('what was killed in the middle is settled without moving traffic by accident: %s', (verb, command) => {
    const lock = { by: 'anna@laptop', verb, ageSeconds: 300, alive: false };
    const history = [...GOOD.history, line({ verb, result: 'interrupted' })];
    for (const said of tell({ lock, history })) expect(said).toMatch(new RegExp(` → ${command}$`));
  });

  test('what is only worth knowing stands behind all differences', () => {
    const lock = { by: 'anna@laptop', verb: 'deploy', ageSeconds: 3, alive: true };
    const said = findDrifts(EXPECTED, {
      found: { ...GOOD, lock, files: {} },
      plan: { done: ['units  changed'], left: [] },
    });
    expect(said.map(({ kind, about }) => `${kind} ${about}`)).toEqual([
      'drift customers',
      'drift machine',
      'note slot',
      'note lock',
    ]);
  });

  test('several at once, the gravest first', () => {
    const said = tell({
      proxy: undefined,
      files: {},
      envNames: [],
      slots: { ...GOOD.slots, blue: slot(OLD, { held: true }) },
    });
    expect(said.map(sentence => sentence.split(' ').slice(1, 4).join(' '))).toEqual([
      'Nobody listens on',
      'blue, the other',
      'There is no',
      'customers.yaml reads AXE_SECRET,',
      'shared/env there lacks',
      'shared/env there lacks',
    ]);
  });
});
