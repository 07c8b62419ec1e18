import { Readable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import type { Io } from '../../../src/operator/command.ts';
import { createStepBoard } from '../../../src/operator/remote/steps.ts';

function makeBoard(isTerminal: boolean, customers = ['axe', 'nordwind']) {
  const lines: string[] = [];
  const statuses: string[] = [];
  const clock = { now: 0 };
  const io: Io = {
    env: {},
    cwd: '/',
    stdin: Readable.from([]),
    out: () => expect.fail('steps are not what a program reads'),
    err: line => lines.push(line),
    status: text => statuses.push(text),
    isTerminal,
  };
  const board = createStepBoard(io, customers, () => clock.now);
  return { board, lines, statuses, clock, [Symbol.dispose]: () => board[Symbol.dispose]() };
}

describe('lines', () => {
  test('every step that ended has one, below the others, with how long it took', () => {
    using made = makeBoard(false);
    const axe = made.board.track('axe');
    const nordwind = made.board.track('nordwind');
    axe.heard({ kind: 'step', step: 'lock', state: 'begun' });
    axe.heard({ kind: 'step', step: 'lock', state: 'done', ms: 3 });
    nordwind.heard({ kind: 'step', step: 'gate', state: 'begun', note: 'green' });
    axe.heard({ kind: 'step', step: 'migrate', state: 'skipped', note: 'nothing is new' });
    nordwind.heard({ kind: 'step', step: 'gate', state: 'failed', ms: 30_000, note: 'not ready' });
    axe.heard({ kind: 'step', step: 'flip', state: 'planned', note: 'blue → green' });
    expect(made.lines).toEqual([
      'axe       lock               3 ms',
      'axe       migrate         skipped  nothing is new',
      'nordwind  gate       failed 30.0 s  not ready',
      'axe       flip            planned  blue → green',
    ]);
    expect(axe.steps).toEqual([
      { step: 'lock', state: 'done', ms: 3 },
      { step: 'migrate', state: 'skipped', note: 'nothing is new' },
      { step: 'flip', state: 'planned', note: 'blue → green' },
    ]);
  });

  test('a step on this side is timed, and its failure goes on', async () => {
    using made = makeBoard(false, ['axe']);
    const axe = made.board.track('axe');
    const build = axe.run(
      'build',
      async () => {
        made.clock.now += 1_500;
        return 7;
      },
      count => `${count} files`,
    );
    expect(await build).toBe(7);
    await expect(axe.run('upload', () => Promise.reject(new Error('lost')))).rejects.toThrow('lost');
    axe.pass('flip', 'skipped', '--no-promote');
    expect(made.lines).toEqual([
      'axe  build             1.5 s  7 files',
      'axe  upload      failed 0 ms',
      'axe  flip            skipped  --no-promote',
    ]);
  });

  test('a step that nobody can tell the end of is lost, and of others that is not said', () => {
    using made = makeBoard(false);
    const axe = made.board.track('axe');
    axe.heard({ kind: 'step', step: 'gate', state: 'begun' });
    made.board.track('nordwind').heard({ kind: 'step', step: 'flip', state: 'begun' });
    axe.lose();
    axe.lose();
    expect(made.lines).toEqual(['axe       gate               lost']);
    expect(axe.steps).toEqual([{ step: 'gate', state: 'lost' }]);
  });

  test('the last lines of a log and a warning are shown', () => {
    using made = makeBoard(false);
    const axe = made.board.track('axe');
    axe.heard({ kind: 'log', slot: 'green', lines: ['one', 'two'] });
    axe.heard({ kind: 'warning', sentence: 'The disk is nearly full.' });
    expect(made.lines).toEqual([
      'axe  the last lines of the log of green:',
      '  | one',
      '  | two',
      'axe  warning: The disk is nearly full.',
    ]);
  });

  test('what the machine says moves no cursor, wherever it stands', () => {
    const evil = '\x1b[2J\r\u202e\x9b1A';
    for (const isTerminal of [false, true]) {
      using made = makeBoard(isTerminal);
      const axe = made.board.track('axe');
      axe.heard({ kind: 'step', step: evil, state: 'begun', note: evil });
      made.clock.now += 60_000;
      made.board.tick();
      axe.heard({ kind: 'step', step: evil, state: 'done', ms: 1, note: evil });
      axe.heard({ kind: 'log', slot: evil as 'blue', lines: [evil] });
      axe.heard({ kind: 'warning', sentence: evil });
      for (const said of [...made.lines, ...made.statuses]) expect(said).toMatch(/^[^\p{Cc}\p{Cf}]*$/u);
    }
  });
});

describe('what runs now', () => {
  test('on a terminal it is the last line, of all customers, and no longer than the terminal', () => {
    using made = makeBoard(true);
    const axe = made.board.track('axe');
    axe.heard({ kind: 'step', step: 'gate', state: 'begun' });
    made.board.track('nordwind').heard({ kind: 'step', step: 'upload', state: 'begun' });
    made.board.track('nordwind').meanwhile('upload', '43 %');
    made.clock.now += 2_000;
    made.board.tick();
    expect(made.statuses.at(-1)).toBe('axe gate 2.0 s · nordwind upload 43 % 2.0 s');
    axe.heard({ kind: 'step', step: 'gate', state: 'done', ms: 2_000 });
    expect(made.statuses.slice(-2)).toEqual(['', 'nordwind upload 43 % 2.0 s']);
    axe.heard({ kind: 'step', step: 'x'.repeat(500), state: 'begun' });
    expect(made.statuses.at(-1)?.length).toBeLessThan(80);
  });

  test('it leaves nothing behind on a terminal', () => {
    const made = makeBoard(true);
    made.board.track('axe').heard({ kind: 'step', step: 'gate', state: 'begun' });
    made.board[Symbol.dispose]();
    expect(made.statuses.at(-1)).toBe('');
  });

  test('elsewhere it is said again while it takes long', () => {
    using made = makeBoard(false, ['axe']);
    const axe = made.board.track('axe');
    axe.heard({ kind: 'step', step: 'upload', state: 'begun' });
    for (let seconds = 0; seconds < 40; seconds++) {
      made.clock.now += 1_000;
      if (seconds === 20) axe.meanwhile('upload', '43 %');
      made.board.tick();
    }
    expect(made.lines).toEqual([
      'axe  upload                …  runs for 15.0 s',
      'axe  upload                …  runs for 30.0 s; 43 %',
    ]);
    expect(made.statuses).toEqual([]);
  });
});
