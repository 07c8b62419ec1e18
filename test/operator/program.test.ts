import { expect, test } from 'vitest';
import { isAlive } from '../../src/database/embedded-process.ts';
import { lastLines, ProgramMissing, runProgram } from '../../src/operator/program.ts';
import { makeFolder } from './fixture.ts';

const node = (text: string, ...args: string[]) => [process.execPath, ['-e', text, ...args]] as const;

test('arguments arrive as they are, and no shell reads them', async () => {
  const hostile = ['$(id)', '`id`', '; exit 7', '"', "'", '', ' a  b ', '*', 'ü\n', '--', '-x'];
  const { exit, out } = await runProgram(
    ...node('console.log(JSON.stringify(process.argv.slice(1)))', '--', ...hostile),
  );
  expect({ exit, argv: JSON.parse(out) }).toEqual({ exit: 0, argv: hostile });
});

test('what it says and how it ended is told, and judged by nobody', async () => {
  const ended = await runProgram(...node('console.log("yes"); console.error("no"); process.exitCode = 3'));
  expect(ended).toEqual({ exit: 3, out: 'yes\n', err: 'no\n', timedOut: false });
});

test('lines come one by one, whole, whatever pieces they arrive in', async () => {
  const lines: string[] = [];
  const pieces = `const pieces = ['on', 'e\\ntw', 'o\\n', '\\nü', 'last'];
    (function next() { const piece = pieces.shift(); if (piece) process.stdout.write(piece, () => setTimeout(next, 5)); })()`;
  await runProgram(...node(pieces), { onLine: line => lines.push(line) });
  expect(lines).toEqual(['one', 'two', '', 'ülast']);
});

test('standard input ends behind what it gets', async () => {
  const { out } = await runProgram('cat', [], { input: 'to the end' });
  expect(out).toBe('to the end');
});

test('a program that does not want its input is no failure', async () => {
  async function* endless(): AsyncIterable<Uint8Array> {
    for (;;) yield Buffer.alloc(65_536);
  }
  expect(await runProgram('true', [], { input: endless() })).toMatchObject({ exit: 0 });
});

test('input that cannot be read is thrown, and the program does not take the half of it for the whole', async () => {
  async function* broken(): AsyncIterable<Uint8Array> {
    yield Buffer.from('half');
    throw new Error('The disk is gone.');
  }
  await using folder = await makeFolder();
  const copy = `process.stdin.resume().on('end', () => require('fs').writeFileSync('whole', ''))`;
  await expect(runProgram(...node(copy), { input: broken(), cwd: folder.path })).rejects.toThrow('The disk is gone.');
  expect((await runProgram('ls', [], { cwd: folder.path })).out).not.toContain('whole');
});

test('a program that takes too long is ended, also when it does not want to', async () => {
  const stubborn = `process.on('SIGTERM', () => {}); console.log(process.pid); setInterval(() => {}, 1000)`;
  const { timedOut, exit, out } = await runProgram(...node(stubborn), { timeoutSeconds: 5 });
  expect({ timedOut, exit }).toEqual({ timedOut: true, exit: null });
  expect(isAlive(Number(out))).toBe(false);
});

test('an abort ends the program, and its reason is thrown', async () => {
  const abort = new AbortController();
  let pid = 0;
  const running = runProgram(...node('console.log(process.pid); setInterval(() => {}, 1000)'), {
    signal: abort.signal,
    onLine: line => {
      pid = Number(line);
      abort.abort(new Error('Ctrl-C'));
    },
  });
  await expect(running).rejects.toThrow('Ctrl-C');
  expect(isAlive(pid)).toBe(false);
});

test('nothing begins when the abort came before', async () => {
  await expect(runProgram('true', [], { signal: AbortSignal.abort(new Error('Ctrl-C')) })).rejects.toThrow('Ctrl-C');
});

test('a grandchild that holds the output open keeps nobody waiting', async () => {
  const { out } = await runProgram('sh', ['-c', 'sleep 100 & echo $!']);
  const pid = Number(out);
  expect(isAlive(pid)).toBe(true);
  process.kill(pid, 'SIGKILL');
});

test('a program that is not installed is named', async () => {
  await expect(runProgram('no-such-program', [])).rejects.toThrow(ProgramMissing);
  await expect(runProgram('no-such-program', [])).rejects.toThrow('The program `no-such-program` is not here.');
});

test('a folder that is missing is not mistaken for a program that is', async () => {
  await expect(runProgram('true', [], { cwd: '/no/such/folder' })).rejects.toThrow(
    'There is no folder /no/such/folder.',
  );
});

test('of much output the end is kept', async () => {
  const { out } = await runProgram(
    ...node(`for (let i = 0; i < 400_000; i++) console.log('0123456789 0123456789 ' + i)`),
  );
  expect(out.length).toBeLessThan(9_000_000);
  expect(lastLines(out)).toBe('0123456789 0123456789 399999');
});

test('the last lines are those that say something', () => {
  expect(lastLines('one\n two \n\n  \nthree\n\n', 2)).toBe('two\nthree');
  expect(lastLines('\n \n')).toBe('');
});
