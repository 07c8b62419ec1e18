import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { treeHashOf } from '../../src/operator/agent/manifest.ts';
import type { Heard, ReleaseFile } from '../../src/operator/agent/protocol.ts';
import { AgentRefused, openHost, openHostOn } from '../../src/operator/remote/host.ts';
import { openMachine } from '../../src/operator/remote/machine.ts';
import { HAS_SSHD, SSHD } from '../support/sshd.ts';
import { type LabOptions, type MachineLab, putNode, startLab } from './machine-lab.ts';

/** A release without a file: enough for an agent to be asked about. */
const ID = '20260101T000001Z-0000001';
const EMPTY = { release: ID, tree: treeHashOf([]) } as ReleaseFile;
const NOTHING = { id: ID, manifest: [], file: EMPTY };

describe.skipIf(!HAS_SSHD)(SSHD, () => {
  test('a machine says what it is, gets the agent, and answers', async () => {
    await using lab = await startLab();
    await using host = await lab.open();
    expect(host.platform).toEqual({ os: process.platform, cpu: process.arch });
    expect(host.customer.id).toBe('axe');
    expect(await host.ask('offer', NOTHING)).toEqual({ complete: false, missing: [], freeBytes: expect.any(Number) });
    const [hash = ''] = await readdir(lab.layout.agents);
    expect(hash).toMatch(/^[0-9a-f]{16}$/);
    for (const name of ['main.ts', 'protocol.ts', 'run-slot.sh']) {
      const [there, here] = [join(lab.layout.agents, hash), join(import.meta.dirname, '../../src/operator/agent')];
      expect(await readFile(join(there, name))).toEqual(await readFile(join(here, name)));
    }
  });

  test('the agent is put there once', async () => {
    await using lab = await startLab();
    await (await lab.open())[Symbol.asyncDispose]();
    const [hash = ''] = await readdir(lab.layout.agents);
    const before = await stat(join(lab.layout.agents, hash));
    await (await lab.open())[Symbol.asyncDispose]();
    expect((await stat(join(lab.layout.agents, hash))).ctimeMs).toBe(before.ctimeMs);
  });

  test('two who put it there at once do not disturb each other', async () => {
    await using lab = await startLab();
    const hosts = await Promise.all([1, 2, 3, 4].map(() => lab.open()));
    for (const host of hosts) expect(await host.ask('offer', NOTHING)).toMatchObject({ complete: false });
    for (const host of hosts) await host[Symbol.asyncDispose]();
    const [hash = '', ...more] = await readdir(lab.layout.agents);
    expect(more).toEqual([]);
    const entries = await readdir(join(lab.layout.agents, hash), { withFileTypes: true });
    // Node keeps there what it compiled.
    expect(entries.filter(each => each.isDirectory()).map(({ name }) => name)).toEqual(['cache']);
  });

  test('a refusal of the agent comes with its code, hint and exit code', async () => {
    await using lab = await startLab();
    await using host = await lab.open();
    const refusal = await host.ask('offer', { ...NOTHING, id: '../..' }).catch(thrown => thrown);
    expect(refusal).toBeInstanceOf(AgentRefused);
    expect(refusal).toMatchObject({ code: 'deploy/refused', message: '"../.." is no name of a release.' });
    expect(refusal.refusal).toMatchObject({ code: 'deploy/refused', exit: 2 });
  });

  test('a customer without a host is told what to add', async () => {
    await using lab = await startLab({ hasNode: false });
    const customer = { ...lab.options.customer, host: undefined };
    await expect(openHost({ ...lab.options, customer })).rejects.toMatchObject({
      code: 'deploy/refused',
      message: 'customers.yaml names no machine for axe.',
    });
  });

  test('a machine that was never provisioned is told apart from one that is off', async () => {
    await using lab = await startLab({ hasNode: false, dead: ['off'] });
    await expect(lab.open()).rejects.toMatchObject({
      code: 'deploy/refused',
      message: 'There is no Frame on the machine of axe yet.',
      hint: 'Run `frame provision axe` first.',
    });
    expect(await lab.list(lab.layout.home)).toEqual([]);
    const customer = { ...lab.options.customer, host: 'off' };
    await expect(openHost({ ...lab.options, customer })).rejects.toMatchObject({ code: 'deploy/unreachable' });
  });

  test('a system that Frame does not run on is said', async () => {
    await using lab = await startLab(await withProgram('uname', 'echo Plan9'));
    await expect(lab.open()).rejects.toMatchObject({
      code: 'deploy/refused',
      message: 'Frame does not run on machine: it says it is `Plan9 Plan9`.',
    });
  });

  describe('invariant 24: its folder may have any name', () => {
    test.each([
      'frame',
      'deep/er/frame',
      'it\'s $(touch pwned) `touch pwned` "; touch pwned; #',
      '-rf',
      '~',
      '$HOME',
      ' blank ',
      'Zoë 公司',
      '*',
    ])('%j', async home => {
      await using lab = await startLab({ home, hasNode: false });
      await using before = await openMachine(lab.options);
      expect(before.hasNode()).toBe(false);
      await putNode(lab.layout);
      await using machine = await openMachine(lab.options);
      expect(machine.hasNode()).toBe(true);
      await using host = await openHostOn(machine, 'anna@laptop');
      const release = await lab.release(1, { 'src/main.ts': 'x' });
      await host.upload(release, () => {});
      expect(await readdir(lab.layout.releases)).toEqual([release.id]);
      expect((await readdir(lab.layout.home)).sort()).toEqual(['agent', 'bin', 'releases']);
      expect(await lab.list(lab.folder)).not.toContain('pwned');
    });

    test('an absolute one, too', async () => {
      await using lab = await startLab({ hasNode: false });
      await using other = await startLab();
      await using host = await openHost({ ...lab.options, home: other.layout.home });
      await host.upload(await lab.release(1, { 'src/main.ts': 'x' }), () => {});
      expect(await readdir(other.layout.releases)).toHaveLength(1);
      expect(await lab.list(lab.layout.home)).toEqual([]);
    });
  });

  describe('Node for a machine that has none', () => {
    test('is sent, tried, and not sent again', async () => {
      await using lab = await startLab({ hasNode: false });
      await using machine = await openMachine(lab.options);
      const progress: [number, number][] = [];
      expect(await machine.sendNode(process.execPath, (sent, total) => progress.push([sent, total]))).toEqual({
        sent: true,
      });
      const { size } = await stat(process.execPath);
      expect(progress.at(-1)).toEqual([size, size]);
      expect((await stat(lab.layout.node)).mode & 0o777).toBe(0o755);
      expect(await machine.sendNode(process.execPath)).toEqual({ sent: false });
      await using host = await openHostOn(machine, 'anna@laptop');
      expect(await host.ask('offer', NOTHING)).toMatchObject({ complete: false });
      expect(await readdir(join(lab.layout.home, 'bin'))).toEqual(['node']);
    }, 60_000);

    test('that does not run there is not put there, and the old one stays', async () => {
      await using lab = await startLab();
      await using machine = await openMachine(lab.options);
      const broken = join(lab.folder, 'broken');
      await writeFile(broken, '#!/bin/sh\necho "wrong libc" >&2\nexit 1\n');
      const failure = await machine.sendNode(broken).catch(thrown => thrown);
      expect(failure).toMatchObject({
        code: 'deploy/failed',
        message: 'Node cannot be put there (machine): wrong libc',
      });
      expect((await stat(lab.layout.node)).size).toBe((await stat(process.execPath)).size);
      expect(await readdir(join(lab.layout.home, 'bin'))).toEqual(['node']);
    });

    test('that arrives otherwise than it was sent is not put there', async () => {
      await using lab = await startLab({
        hasNode: false,
        ...(await withProgram('gzip', 'cat >/dev/null; echo other')),
      });
      await using machine = await openMachine(lab.options);
      const small = join(lab.folder, 'small');
      await writeFile(small, '#!/bin/sh\n');
      const failure = await machine.sendNode(small).catch(thrown => thrown);
      expect(failure.message).toBe('Node cannot be put there (machine): it did not arrive as it was sent');
      expect(await readdir(join(lab.layout.home, 'bin'))).toEqual([]);
    });

    test('is not there when the connection was lost half-way', async () => {
      await using lab = await startLab({ hasNode: false });
      await using machine = await openMachine(lab.options);
      let dropped: Promise<void> | undefined;
      const sending = machine.sendNode(process.execPath, (sent, total) => {
        if (sent > total / 3) dropped ??= lab.sshd.drop();
      });
      await expect(sending).rejects.toMatchObject({ code: 'deploy/unreachable' });
      await dropped;
      expect(machine.hasNode()).toBe(false);
      await expect.poll(() => readdir(join(lab.layout.home, 'bin'))).toEqual([]);
    }, 60_000);
  });

  describe('what else is printed there', () => {
    test('by login profiles, before and after, is not taken for the words of the agent', async () => {
      const noise = `printf "Welcome to the machine"; sh -c "$SSH_ORIGINAL_COMMAND"; code=$?;
        echo "{\\"kind\\":\\"answer\\""; echo "Bye"; echo "frame-node but not so" >&2; exit $code`;
      await using lab = await startLab({ forceCommand: noise.replaceAll('\n', ' ') });
      await using host = await lab.open();
      const heard: Heard[] = [];
      const answer = await host.ask('offer', NOTHING, { onHeard: each => heard.push(each) });
      expect(answer).toMatchObject({ complete: false });
      expect(heard).toEqual([]);
      const release = await lab.release(1, { 'src/main.ts': 'x' });
      expect(await host.upload(release, () => {})).toEqual({ sentBytes: 1 });
    });

    test('an agent that says nothing that is understood is no lost connection', async () => {
      await using lab = await startLab({ hasNode: false });
      await fakeNode(lab, 'echo "{\\"kind\\":"; echo "{}"; echo "Segmentation fault" >&2; exit 139');
      await using host = await lab.open();
      await expect(host.ask('offer', NOTHING)).rejects.toMatchObject({
        code: 'deploy/failed',
        message: 'The agent on machine ended without an answer (exit code 139): Segmentation fault',
      });
    });

    test('an agent that does not start says why', async () => {
      await using lab = await startLab({ hasNode: false });
      await fakeNode(lab, `exec ${process.execPath} -e 'throw new TypeError("no such thing")'`);
      await using host = await lab.open();
      await expect(host.ask('offer', NOTHING)).rejects.toThrow('(exit code 1): TypeError: no such thing');
    });

    test('an agent that is killed is no lost connection either', async () => {
      await using lab = await startLab({ hasNode: false });
      await fakeNode(lab, 'kill -9 $$');
      await using host = await lab.open();
      const failure = await host.ask('offer', NOTHING).catch(thrown => thrown);
      expect(failure).toMatchObject({ code: 'deploy/failed' });
      expect(failure.message).toMatch(/^The agent on machine ended without an answer \(exit code 137\)/);
    });

    test('a step is heard when it comes, and the answer counts although the connection is lost behind it', async () => {
      await using lab = await startLab({ hasNode: false });
      const step = { kind: 'step', step: 'gate', state: 'begun' };
      const answer = { kind: 'answer', answer: { complete: true, missing: [], freeBytes: 1 } };
      const warning = { kind: 'warning', sentence: 'Something is old.' };
      const lines = [step, warning, answer].map(line => `echo '${JSON.stringify(line)}'`);
      await fakeNode(lab, `${lines.join('\n')}; sleep 30`);
      await using host = await lab.open();
      const heard: Heard[] = [];
      const asked = host.ask('offer', NOTHING, { onHeard: each => heard.push(each), timeoutSeconds: 6 });
      expect(await asked).toEqual(answer.answer);
      expect(heard).toEqual([step, warning]);
    });
  });

  test('variables of the login do not change what the agent is', async () => {
    await using lab = await startLab({
      forceCommand: 'NODE_OPTIONS=--require=/no/such/file.js exec sh -c "$SSH_ORIGINAL_COMMAND"',
    });
    await using host = await lab.open();
    expect(await host.ask('offer', NOTHING)).toMatchObject({ complete: false });
  });
});

/** A login that finds a program of ours first. */
async function withProgram(name: string, text: string): Promise<LabOptions> {
  const folder = `$HOME/programs`;
  const make = `mkdir -p "${folder}"; echo "#!/bin/sh" >"${folder}/${name}"; echo "${text}" >>"${folder}/${name}"; chmod 755 "${folder}/${name}"`;
  return { forceCommand: `${make}; PATH="${folder}:$PATH" exec sh -c "$SSH_ORIGINAL_COMMAND"` };
}

/** In the place of Node: what an agent could do at its worst. */
async function fakeNode({ layout }: MachineLab, text: string): Promise<void> {
  await mkdir(join(layout.home, 'bin'), { recursive: true });
  await writeFile(layout.node, `#!/bin/sh\n${text}\n`, { mode: 0o755 });
}
