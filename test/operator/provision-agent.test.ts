import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, readdir, readFile, readlink, rm, symlink } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { parseEnv, promisify } from 'node:util';
import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { lifeOf } from '../../src/operator/agent/processes.ts';
import { readMasterKey } from '../../src/vault/master-key.ts';
import { makeMachine, type TestMachine } from './provision-machine.ts';

let machine: TestMachine;
beforeEach(async () => {
  machine = await makeMachine();
});
afterEach(() => machine[Symbol.asyncDispose]());

const CUSTOMERS = `customers:\n  axe:\n    entra:\n      client_secret: \${AXE_SECRET}\n`;

describe('a machine from nothing', () => {
  test('gets everything that a deploy needs, with the modes that fit', async () => {
    expect(await machine.provision()).toMatchObject({ exit: 0 });
    const modes = {
      shared: '700',
      'shared/env': '600',
      'shared/master.key': '600',
      'shared/customers.yaml': '600',
      state: '700',
      'state/host.json': '600',
      'state/history.ndjson': '600',
      log: '700',
      'log/blue.log': '600',
      'log/green.log': '600',
      'log/proxy.log': '600',
      releases: '755',
      units: '755',
      'slots/blue/blue': '644',
      'slots/blue/hold': '644',
      'slots/green/green': '644',
      'slots/green/hold': '644',
      'proxy/Caddyfile': '644',
      'proxy/services.caddy': '644',
      'bin/run-slot': '755',
      'bin/run-proxy': '755',
      'bin/rotate-logs': '755',
    };
    const found = Object.keys(modes).map(async name => [name, await machine.mode(name)]);
    expect(Object.fromEntries(await Promise.all(found))).toEqual(modes);
    // Nobody is live before the first deploy.
    expect(await machine.mode('state/live')).toBeUndefined();
    expect(JSON.parse(await machine.read('state/host.json'))).toEqual({
      customer: 'axe',
      ports: { blue: 3710, green: 3711, proxy: 3712 },
      supervisor: 'none',
    });
    expect(parseEnv(await machine.read('shared/env'))).toEqual({ FRAME_CUSTOMER: 'axe' });
  });

  test('makes a master key that the gateway takes, and no other machine has', async () => {
    await using other = await makeMachine();
    await Promise.all([machine.provision(), other.provision()]);
    const keyOf = async ({ home }: TestMachine) =>
      (await readMasterKey(join(home, 'shared/master.key'), false)).reveal();
    expect((await keyOf(machine)).equals(await keyOf(other))).toBe(false);
  });

  test('a second time changes nothing but the history', async () => {
    const request = { customers: CUSTOMERS, env: { AXE_SECRET: 'canary' } };
    await machine.provision(request);
    const before = await contentsOf(machine);
    const second = await machine.provision(request);
    expect(second).toMatchObject({ exit: 0, done: [] });
    const { 'state/history.ndjson': historyBefore, ...filesBefore } = before;
    const { 'state/history.ndjson': historyAfter, ...filesAfter } = await contentsOf(machine);
    expect(filesAfter).toEqual(filesBefore);
    expect(historyAfter?.startsWith(historyBefore ?? '')).toBe(true);
    expect(
      historyAfter
        ?.trim()
        .split('\n')
        .map(line => JSON.parse(line)),
    ).toMatchObject([
      { verb: 'provision', by: 'anna@laptop', result: 'ok' },
      { verb: 'provision', by: 'anna@laptop', result: 'ok' },
    ]);
  });

  test('a dry run says the same, and leaves not one file', async () => {
    const plan = await machine.provision({}, { dryRun: true });
    expect(await contentsOf(machine)).toEqual({});
    expect((await machine.provision()).done).toEqual(plan.done);
    expect((await machine.provision({}, { dryRun: true })).done).toEqual([]);
  });

  test.each(['check', 'folders', 'files', 'postgres', 'shared'])(
    'killed in the step %s, the next one brings it to the same end',
    async killAt => {
      const request = { customers: CUSTOMERS, env: { AXE_SECRET: 'canary' } };
      expect(await machine.provision(request, { killAt })).toMatchObject({ exit: null });
      expect(await machine.provision(request)).toMatchObject({ exit: 0 });
      expect(await machine.provision(request)).toMatchObject({ exit: 0, done: [] });
      expect(await machine.mode('shared/master.key')).toBe('600');
      const names = (await readdir(machine.home, { recursive: true })).filter(name => /fresh|\.check|\.tmp/.test(name));
      expect(names).toEqual([]);
      const history = (await machine.read('state/history.ndjson')).trim().split('\n');
      expect(history.map(line => JSON.parse(line).result).slice(-2)).toEqual(['ok', 'ok']);
    },
  );

  test.each(['it\'s "two" words', '$(id) `id` $HOME', '-rf', 'früh 雪', 'a;b&c|d'])(
    'may lie in a folder called %s',
    async name => {
      await using odd = await makeMachine(name);
      const { exit, answer, left } = await odd.provision({}, { programs: {} });
      expect({ exit, home: answer?.home }).toEqual({ exit: 0, home: odd.home });
      const [runSlot = ''] = left.find(({ sentence }) => sentence.startsWith('Keep these'))?.commands ?? [];
      // What a person pastes reaches the script.
      const watch = `trap 'kill $!' EXIT; until [ -s slots/blue/pid ]; do sleep 0.05; done; cat slots/blue/pid; echo $!`;
      const said = await pasted(odd, `${runSlot} & ${watch}`);
      expect(said).toMatch(/^(\d+)\n\1\n$/);
      expect((await odd.provision({}, { programs: {} })).done).toEqual([]);
    },
  );

  test('a folder that no unit can name is refused', async () => {
    await using odd = await makeMachine('two\nlines');
    const { refusal } = await odd.provision({ supervisor: 'systemd' });
    expect(refusal).toMatchObject({ code: 'deploy/refused', exit: 2, message: expect.stringContaining('control') });
    expect(await contentsOf(odd)).toEqual({});
  });
});

describe('what lies there already', () => {
  test('a master key is never written again, and one that is none is said', async () => {
    await machine.write('shared/master.key', 'nonsense\n');
    const { left } = await machine.provision();
    expect(await machine.read('shared/master.key')).toBe('nonsense\n');
    expect(left).toContainEqual(
      expect.objectContaining({ sentence: expect.stringMatching(/^shared\/master\.key does not/) }),
    );
  });

  test('modes that let others read are mended', async () => {
    await machine.provision();
    const key = await machine.read('shared/master.key');
    await machine.write('shared/master.key', key, 0o644);
    await machine.write('shared/env', await machine.read('shared/env'), 0o666);
    expect((await machine.provision()).done).toEqual(['shared/master.key  mode 600', 'shared/env  mode 600']);
    expect([await machine.mode('shared/master.key'), await machine.mode('shared/env')]).toEqual(['600', '600']);
    expect(await machine.read('shared/master.key')).toBe(key);
  });

  test('a slot with a release is not held again', async () => {
    await machine.write('releases/r1/release.json', '{}');
    await machine.write('slots/blue/blue', '');
    await symlink('../../releases/r1', join(machine.home, 'slots/blue/release'));
    await machine.provision();
    expect([await machine.mode('slots/blue/hold'), await machine.mode('slots/green/hold')]).toEqual([undefined, '644']);
  });

  test('ports and supervisor stay as they were unless others are asked for', async () => {
    const ports = { blue: 4710, green: 4711, proxy: 4712 };
    await machine.provision({ ports, supervisor: 'systemd' });
    const { done, answer } = await machine.provision({ supervisor: undefined });
    expect({ done, host: answer?.host }).toEqual({ done: [], host: { customer: 'axe', ports, supervisor: 'systemd' } });
    expect(await machine.read('units/frame-proxy.service')).toContain('run-proxy 4710 4711 4712');
    const changed = await machine.provision({ ports: { ...ports, blue: 5710 } });
    expect(changed.answer?.host).toEqual({ customer: 'axe', ports: { ...ports, blue: 5710 }, supervisor: 'none' });
  });

  test('what was written down of the machine and cannot be read is replaced by who says all of it', async () => {
    const ports = { blue: 4710, green: 4711, proxy: 4712 };
    await machine.provision({ ports });
    await machine.write('state/host.json', '{"customer":"axe","po');
    const { exit, refusal } = await machine.provision();
    expect([exit, refusal?.hint]).toEqual([2, expect.stringContaining('--ports and its --supervisor')]);
    expect((await machine.provision({ ports })).done).toEqual(['state/host.json  changed']);
  });

  test('a machine that serves keeps its ports, which slots and proxy know from when they started', async () => {
    const ports = { blue: 4710, green: 4711, proxy: 4712 };
    await machine.provision({ ports });
    await symlink('../slots/blue', join(machine.home, 'state/live'));
    const others = { ...ports, proxy: 5712 };
    const runner = spawn('/bin/sh', [join(machine.home, 'bin/run-slot'), 'blue', '4710'], { stdio: 'ignore' });
    try {
      await expect.poll(() => machine.mode('slots/blue/pid')).toBeDefined();
      expect(await machine.provision({ ports })).toMatchObject({ exit: 0 });
      const { exit, refusal } = await machine.provision({ ports: others });
      expect([exit, refusal?.message]).toEqual([2, expect.stringContaining('serves on the ports 4710, 4711, 4712')]);
    } finally {
      runner.kill('SIGKILL');
      await once(runner, 'exit');
    }
    expect(await machine.provision({ ports: others })).toMatchObject({ exit: 0 });
  });

  test('a machine that serves keeps its customers.yaml: a deploy proves a new one, and migrates for it', async () => {
    await machine.provision({ customers: CUSTOMERS, env: { AXE_SECRET: 'x' } });
    await symlink('../slots/blue', join(machine.home, 'state/live'));
    const { done, left } = await machine.provision({ customers: `${CUSTOMERS}# new\n` });
    expect(done).toEqual([]);
    expect(left).toContainEqual({
      sentence: 'shared/customers.yaml stays as it was: a deploy proves the new one and brings it.',
      commands: ['frame deploy axe'],
    });
    expect(await machine.read('shared/customers.yaml')).toBe(CUSTOMERS);
  });

  test('the machine of another customer is refused, by what it says of itself', async () => {
    await machine.provision();
    const before = await machine.read('shared/env');
    expect(await machine.provision({ customer: 'nordwind' })).toMatchObject({
      exit: 2,
      refusal: { code: 'deploy/refused', message: expect.stringMatching(/`axe`.*`nordwind`/) },
    });
    expect(await machine.read('shared/env')).toBe(before);

    await using other = await makeMachine();
    await other.write('shared/env', 'FRAME_CUSTOMER=nordwind\n');
    expect(await other.provision()).toMatchObject({ exit: 2 });
    expect(await other.read('shared/env')).toBe('FRAME_CUSTOMER=nordwind\n');
  });

  test('while somebody else works there, it is locked, and nothing is touched', async () => {
    await machine.provision();
    const at = new Date().toISOString();
    const holder = { token: 't', ...(await lifeOf(process.pid)), verb: 'deploy', by: 'bert@laptop', at };
    await machine.write('state/deploy.lock', JSON.stringify(holder));
    const { exit, refusal } = await machine.provision({ env: { NEW: 'x' } });
    expect({ exit, message: refusal?.message }).toEqual({ exit: 75, message: expect.stringContaining('bert@laptop') });
    expect(await machine.read('shared/env')).not.toContain('NEW');
    expect(await machine.provision({ env: { NEW: 'x' } }, { dryRun: true })).toMatchObject({ exit: 0 });
  });
});

describe('secrets of the customer', () => {
  test('are written where only the slots read them, and named nowhere else than by name', async () => {
    const { exit, done, left, printed } = await machine.provision({
      customers: CUSTOMERS,
      env: { AXE_SECRET: 'canary' },
    });
    expect(exit).toBe(0);
    expect(done).toContain('AXE_SECRET  set');
    expect(left.map(({ sentence }) => sentence).join()).not.toContain('AXE_SECRET');
    expect(printed).not.toContain('canary');
    const { 'shared/env': env, ...others } = await contentsOf(machine);
    expect(env).toContain('AXE_SECRET=canary');
    expect(JSON.stringify(others)).not.toContain('canary');
  });

  test('that replace others are told apart: what a shell exports goes along, and may not be meant', async () => {
    await machine.provision({ customers: CUSTOMERS, env: { AXE_SECRET: 'the real one' } });
    const { done, printed } = await machine.provision({ customers: CUSTOMERS, env: { AXE_SECRET: 'any value' } });
    expect(done).toContain('AXE_SECRET  set, instead of another value');
    expect(printed).not.toMatch(/the real one|any value/);
    expect((await machine.provision({ customers: CUSTOMERS, env: { AXE_SECRET: 'any value' } })).done).toEqual([]);
  });

  test('that nobody has set are left to do, with what to type', async () => {
    const { left } = await machine.provision({ customers: CUSTOMERS });
    const chore = left.find(({ sentence }) => sentence.includes('AXE_SECRET'));
    expect(chore?.commands).toEqual(['AXE_SECRET=… frame provision axe']);
    expect(await machine.read('shared/customers.yaml')).toBe(CUSTOMERS);
  });

  test('a text that names one which is not there does not replace the text that slots start with', async () => {
    await machine.provision();
    const before = await machine.read('shared/customers.yaml');
    const { left } = await machine.provision({ customers: CUSTOMERS });
    expect(await machine.read('shared/customers.yaml')).toBe(before);
    expect(left).toContainEqual(expect.objectContaining({ sentence: expect.stringContaining('stays as it was') }));
    await machine.provision({ customers: CUSTOMERS, env: { AXE_SECRET: 'x' } });
    expect(await machine.read('shared/customers.yaml')).toBe(CUSTOMERS);
  });

  test('stay when the laptop no longer has them', async () => {
    await machine.provision({ customers: CUSTOMERS, env: { AXE_SECRET: 'canary' } });
    expect(await machine.provision({ customers: CUSTOMERS })).toMatchObject({ done: [] });
    expect(await machine.read('shared/env')).toContain('AXE_SECRET=canary');
  });
});

describe('shared/env as somebody left it', () => {
  test('comments, order and values of people stay; what must be otherwise is replaced', async () => {
    await machine.write('shared/env', "# mine\nexport FRAME_LOG='debug'\n\nAXE_SECRET=old\nLAST=1");
    await machine.provision({ env: { AXE_SECRET: 'it\'s # "new"' } });
    const text = await machine.read('shared/env');
    expect(text).toMatch(/^# mine\nexport FRAME_LOG='debug'\n\nLAST=1\n/);
    expect(parseEnv(text)).toEqual({
      FRAME_LOG: 'debug',
      LAST: '1',
      AXE_SECRET: 'it\'s # "new"',
      FRAME_CUSTOMER: 'axe',
    });
  });

  test('lines that say nothing are named by number, never repeated', async () => {
    await machine.write('shared/env', 'GOOD=1\ncanary without a name\nTWICE=canary\nTWICE=2\n');
    const { left, printed } = await machine.provision();
    expect(left.find(({ sentence }) => sentence.includes('say nothing'))?.sentence).toMatch(/: 2, 3\.$/);
    expect(printed).not.toContain('canary');
    expect(await machine.read('shared/env')).toContain('canary without a name\n');
  });

  test.each([
    ['bytes that are no text', Buffer.from([0x41, 0x3d, 0xff, 0x0a]), {}, /is not text/],
    ['a value of several lines that would have to go', 'AXE_SECRET="canary\nB=2"\n', { AXE_SECRET: 'x' }, /by hand/],
    ['a value with every kind of quotes', 'A=1\n', { AXE_SECRET: '#\'"`canary' }, /cannot be written/],
  ])('%s: refused before anything is changed', async (_, content, env, sentence) => {
    await machine.write('shared/env', content);
    const { exit, refusal, printed } = await machine.provision({ env });
    expect({ exit, code: refusal?.code }).toEqual({ exit: 2, code: 'deploy/refused' });
    expect(refusal?.message).toMatch(sentence);
    expect(printed).not.toContain('canary');
    expect(await machine.read('shared/env')).toBe(content.toString('utf8'));
    expect(await machine.mode('shared/master.key')).toBeUndefined();
  });

  test('a folder in its place is an error that names it', async () => {
    await machine.write('shared/env/oops', '');
    expect(await machine.provision()).toMatchObject({
      exit: 1,
      refusal: { message: expect.stringContaining('EISDIR') },
    });
  });
});

describe('what a person must do', () => {
  test('programs that are missing are named with the command that installs them', async () => {
    const { exit, left } = await machine.provision({}, { programs: {} });
    const commands = left.flatMap(({ commands }) => commands);
    expect(exit).toBe(0);
    if (process.platform === 'linux') {
      expect(commands).toContain('sudo apt-get install -y caddy');
      expect(commands).toContain('sudo apt-get install -y postgresql');
    } else expect(commands).toEqual(expect.arrayContaining(['brew install caddy', 'brew install postgresql@18']));
  });

  test('units are handed to systemd by commands that a shell takes as they are', async () => {
    await using odd = await makeMachine("it's here");
    const { left } = await odd.provision({ supervisor: 'systemd' });
    const { commands } = left.find(({ sentence }) => sentence.includes('systemd')) ?? { commands: [] };
    expect(commands).toEqual([
      expect.stringMatching(/^sudo install -m 644 .*frame-logs\.timer' \/etc\/systemd\/system\/$/),
      'sudo systemctl daemon-reload',
      'sudo systemctl enable --now frame-blue.service frame-green.service frame-proxy.service frame-logs.timer',
    ]);
    const [install = ''] = commands;
    const target = join(odd.home, 'installed');
    const aside = install.replace('sudo ', '').replace('/etc/systemd/system/', '"$PWD/installed/"');
    await pasted(odd, `mkdir installed; ${aside}`);
    expect((await readdir(target)).sort()).toEqual((await readdir(join(odd.home, 'units'))).sort());
  });

  test('property lists are handed to launchd, each by its label', async () => {
    const { left } = await machine.provision({ supervisor: 'launchd' });
    const { commands } = left.find(({ sentence }) => sentence.includes('launchd')) ?? { commands: [] };
    expect(commands[0]).toBe(
      `sudo install -o root -g wheel -m 644 ${['blue', 'green', 'proxy', 'logs'].map(name => `${machine.home}/units/ai.frame.${name}.plist`).join(' ')} /Library/LaunchDaemons/`,
    );
    expect(commands[1]).toBe(
      'for label in ai.frame.blue ai.frame.green ai.frame.proxy ai.frame.logs; do sudo launchctl bootstrap system /Library/LaunchDaemons/$label.plist; done',
    );
  });
});

test('a slot starts on a disk where no file can be made', async () => {
  await machine.provision();
  await machine.write('releases/one/src/main.ts', '');
  await machine.write('releases/one/node_modules/.bin/node', '#!/bin/sh\necho it serves\n', 0o755);
  await symlink('../../releases/one', join(machine.home, 'slots/blue/release'));
  await symlink('nowhere/began', join(machine.home, 'slots/blue/began'));
  await rm(join(machine.home, 'slots/blue/hold'), { force: true });
  expect(await pasted(machine, 'sh bin/run-slot blue 4710')).toBe('it serves\n');
});

describe('logs', () => {
  const SMALL = 'a line\n';
  const LARGE = 'x'.repeat(21_000_000);

  test('that have grown are copied and emptied under the pen of who writes them; five copies are kept', async () => {
    await machine.provision();
    const log = join(machine.home, 'log/blue.log');
    await using writer = await open(log, 'a');
    for (let round = 1; round <= 7; round++) {
      await writer.writeFile(`round ${round} ${LARGE}\n`);
      await pasted(machine, 'sh bin/rotate-logs');
      await writer.writeFile(SMALL);
      expect(await readFile(log, 'utf8')).toBe(SMALL);
    }
    const names = (await readdir(join(machine.home, 'log'))).filter(name => name.startsWith('blue'));
    expect(names.sort()).toEqual(['blue.log', ...[1, 2, 3, 4, 5].map(n => `blue.log.${n}.gz`)]);
    expect(await machine.mode('log/blue.log.1.gz')).toBe('600');
    // By which provision sees that somebody looks after them.
    expect(await machine.mode('log/rotated')).toBe('600');
    const newest = gunzipSync(await readFile(`${log}.1.gz`)).toString();
    expect(newest.slice(0, 20)).toBe(`${SMALL}round 7 xxxxx`);
  });

  test('that cannot be copied stay whole, and push no good copy out', async () => {
    await machine.provision();
    await machine.write('log/blue.log', LARGE);
    for (const n of [1, 5]) await machine.write(`log/blue.log.${n}.gz`, `copy ${n}`);
    await machine.write('bin/gzip', '#!/bin/sh\necho half; exit 1\n', 0o755);
    await pasted(machine, 'PATH="$PWD/bin:$PATH" sh bin/rotate-logs');
    expect((await machine.read('log/blue.log')).length).toBe(LARGE.length);
    for (const n of [1, 5]) expect(await machine.read(`log/blue.log.${n}.gz`)).toBe(`copy ${n}`);
    expect(await machine.mode('log/blue.log.new.gz')).toBeUndefined();
  });

  test('that are small stay as they are', async () => {
    await machine.provision();
    await machine.write('log/green.log', SMALL);
    await pasted(machine, 'sh bin/rotate-logs');
    expect(await machine.read('log/green.log')).toBe(SMALL);
    expect(await machine.mode('log/green.log.1.gz')).toBeUndefined();
  });
});

/** Every file below the home, links as what they say. */
async function contentsOf({ home }: TestMachine): Promise<Record<string, string>> {
  const entries = await readdir(home, { recursive: true, withFileTypes: true });
  const files = entries.filter(entry => !entry.isDirectory());
  const contents = files.map(async entry => {
    const path = join(entry.parentPath, entry.name);
    return [relative(home, path), await (entry.isSymbolicLink() ? readlink(path) : readFile(path, 'utf8'))] as const;
  });
  return Object.fromEntries(await Promise.all(contents));
}

/** What a shell says to this line, in the home of the machine. */
async function pasted({ home }: TestMachine, line: string): Promise<string> {
  return (await promisify(execFile)('/bin/sh', ['-c', line], { cwd: home, timeout: 20_000 })).stdout;
}
