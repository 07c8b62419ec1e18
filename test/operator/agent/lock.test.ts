import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { readLock, takeLock } from '../../../src/operator/agent/lock.ts';
import { commandLineOf, lifeOf } from '../../../src/operator/agent/processes.ts';

let folder: string;
let file: string;
const children: ChildProcess[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'frame-lock-'));
  file = join(folder, 'deploy.lock');
});
afterEach(async () => {
  await Promise.all(children.splice(0).map(end));
  await rm(folder, { recursive: true, force: true });
});

const WISH = { verb: 'deploy', by: 'anna@laptop' };

describe('a lock', () => {
  test('is taken, tells who has it, and is given back without a trace', async () => {
    const lock = await takeLock(file, WISH);
    expect(await readLock(file)).toMatchObject({ ...WISH, pid: process.pid, alive: true });
    expect(await lock.isHeld()).toBe(true);
    await lock.release();
    expect(await readdir(folder)).toEqual([]);
  });

  test('invariant 17: refuses the second one, naming holder, verb and age', async () => {
    await using _ = await held();
    await expect(takeLock(file, { verb: 'cleanup', by: 'bert' })).rejects.toMatchObject({
      refusal: {
        code: 'deploy/locked',
        exit: 75,
        message: expect.stringMatching(/^anna@laptop holds .*`deploy`, for \d+ s/),
      },
    });
    expect(await readdir(folder)).toEqual(['deploy.lock']);
  });

  test('of a living process is broken by force only, and its holder notices', async () => {
    const lock = await takeLock(file, WISH);
    const other = await takeLock(file, { verb: 'rollback', by: 'bert', force: true });
    expect(other.broken).toMatchObject(WISH);
    expect([await lock.isHeld(), await other.isHeld()]).toEqual([false, true]);
    // It must not take away what is somebody else's by now.
    await lock.release();
    expect(await readLock(file)).toMatchObject({ by: 'bert' });
  });

  test.each(['', 'null', '{"pid":1', '[1]', '{"pid":"1","started":1,"by":{},"verb":2}'])(
    'that holds %j is free',
    async text => {
      await writeFile(file, text);
      expect(await readLock(file)).toMatchObject({ by: 'nobody known', alive: false });
      const lock = await takeLock(file, WISH);
      expect(lock.broken).toMatchObject({ by: 'nobody known', verb: 'unknown' });
    },
  );

  test('of a process whose number another one has now is free', async () => {
    await leaveLock({ pid: process.pid, started: 'long ago' });
    const { broken } = await takeLock(file, WISH);
    expect(broken).toMatchObject({ by: 'the dead' });
  });

  test.each(['', 'null', '{', '[]', '{"pid":"x"}', '{"pid":-1,"started":""}', '\0'])(
    'with %j in it is free',
    async text => {
      await writeFile(file, text);
      await takeLock(file, WISH);
      expect(await readLock(file)).toMatchObject(WISH);
    },
  );

  test('that is very old is not free as long as its holder lives', async () => {
    await using _ = await held();
    await utimes(file, 0, 0);
    await expect(takeLock(file, WISH)).rejects.toMatchObject({ refusal: { exit: 75 } });
  });
});

describe('invariant 18: of twelve racers', () => {
  test('one gets a free lock', async () => {
    expect(await race(12)).toEqual(['won', ...Array(11).fill('lost')]);
  });

  test('one breaks the lock of a dead process, round after round', async () => {
    for (let round = 0; round < 3; round += 1) {
      await leaveLock({ pid: await deadPid() });
      expect(await race(12)).toEqual(['won after the dead', ...Array(11).fill('lost')]);
      await rm(file);
    }
  }, 60_000);

  test('one wins, whatever comes between its looks and its deeds', async () => {
    // Here they are interleaved at every step, which processes rarely are.
    for (let round = 0; round < 100; round += 1) {
      await leaveLock({ pid: 1, started: 'long ago' });
      const outcomes = await Promise.allSettled(Array.from({ length: 12 }, () => takeLock(file, WISH)));
      expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
      await rm(file);
      expect(await readdir(folder)).toEqual([]);
    }
  });

  test('one goes on when somebody died in the middle of breaking it', async () => {
    const text = await leaveLock({ pid: await deadPid() });
    const key = createHash('sha256').update(text).digest('hex').slice(0, 32);
    await leaveLock({ pid: await deadPid(), by: 'a dead breaker' }, `${file}.${key}`);
    expect(await race(12)).toEqual(['won after the dead', ...Array(11).fill('lost')]);
    expect(await readdir(folder)).toEqual(['deploy.lock', 'go']);
  });
});

describe.each(['linux', 'darwin'] as const)('a process, as one asks for it on %s,', platform => {
  test('is itself, and no other one', async () => {
    const [self, parent] = [await lifeOf(process.pid, platform), await lifeOf(process.ppid, platform)];
    expect(self).toEqual(await lifeOf(process.pid, platform));
    // Ticks and the boot that they count from; or the words of ps.
    const words = { linux: /^\d+ [0-9a-f-]{36}$/, darwin: /^\w{3} \w{3} +\d+ \d\d:\d\d:\d\d \d{4}$/ }[platform];
    for (const life of [self, parent]) expect(life?.started).toMatch(words);
    expect(await commandLineOf(process.pid, platform)).toContain('vitest');
  });

  test('that there is not has no life', async () => {
    const pid = await deadPid();
    expect([await lifeOf(pid, platform), await commandLineOf(pid, platform)]).toEqual([undefined, '']);
    for (const nonsense of [0, -1, 1.5, Number.NaN]) expect(await lifeOf(nonsense, platform)).toBeUndefined();
  });

  test('that ended but was not yet buried has none either', async () => {
    // Its parent does not look after it.
    const parent = spawn('sh', ['-c', 'sleep 0.1 & echo $!; exec sleep 60'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    children.push(parent);
    const [chunk] = await once(parent.stdout, 'data');
    const zombie = Number(String(chunk));
    while ((await lifeOf(zombie, platform)) !== undefined) await new Promise(setImmediate);
    expect(process.kill(zombie, 0)).toBe(true);
  });
});

describe('a system that cannot be asked now takes nobody for dead:', () => {
  test.each([
    ['fails otherwise', 'exit 2', /does not say whether process 4711 lives/],
    ['is killed', 'kill -KILL $$', /does not say whether process 4711 lives/],
    ['is not there', undefined, /ENOENT/],
  ])('ps %s', async (_, script, message) => {
    const ps = join(folder, 'ps');
    if (script) await writeFile(ps, `#!/bin/sh\n${script}\n`);
    if (script) await chmod(ps, 0o755);
    vi.stubEnv('PATH', folder);
    onTestFinished(() => void vi.unstubAllEnvs());
    await expect(lifeOf(4711, 'darwin')).rejects.toThrow(message);
    await expect(commandLineOf(4711, 'darwin')).rejects.toThrow(message);
  });

  test('ps that says there is none is believed', async () => {
    await writeFile(join(folder, 'ps'), '#!/bin/sh\nexit 1\n', { mode: 0o755 });
    vi.stubEnv('PATH', folder);
    onTestFinished(() => void vi.unstubAllEnvs());
    expect(await lifeOf(4711, 'darwin')).toBeUndefined();
  });

  test.runIf(process.platform === 'linux')('no file can be opened any more', async () => {
    const crowded = join(import.meta.dirname, 'crowded.ts');
    const child = spawn('sh', ['-c', `ulimit -n 60; exec "$0" "$1" "$2"`, process.execPath, crowded, `${process.pid}`]);
    children.push(child);
    let said = '';
    child.stdout.on('data', chunk => {
      said += chunk;
    });
    await once(child, 'close');
    expect(said.trim()).toMatch(/^EMFILE/);
  });
});

async function held(): Promise<AsyncDisposable> {
  const lock = await takeLock(file, WISH);
  return { [Symbol.asyncDispose]: lock.release };
}

async function leaveLock(holder: Record<string, unknown>, path = file): Promise<string> {
  const text = JSON.stringify({
    token: 'old',
    started: '1',
    verb: 'deploy',
    by: 'the dead',
    at: '2026-01-01',
    ...holder,
  });
  await writeFile(path, text);
  return text;
}

async function deadPid(): Promise<number> {
  const child = spawn('true');
  await once(child, 'exit');
  return child.pid ?? 0;
}

/** What each of them said, sorted so that the winner comes first. */
async function race(racers: number): Promise<string[]> {
  const go = join(folder, 'go');
  await rm(go, { force: true });
  const running = Array.from({ length: racers }, () => startRacer(go));
  await Promise.all(running.map(({ says }) => says(1)));
  await writeFile(go, '');
  const outcomes = await Promise.all(running.map(({ says }) => says(2)));
  await Promise.all(running.map(({ child }) => end(child)));
  return outcomes.sort().reverse();
}

function startRacer(go: string) {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'racer.ts'), file, go]);
  children.push(child);
  let said = '';
  child.stdout.on('data', chunk => {
    said += chunk;
  });
  const says = async (line: number): Promise<string> => {
    while (said.split('\n').length <= line) await once(child.stdout, 'data');
    return said.split('\n')[line - 1] ?? '';
  };
  return { child, says };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}
