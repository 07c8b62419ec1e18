import { randomBytes } from 'node:crypto';
import {
  appendFile,
  chmod,
  lstat,
  mkdir,
  open,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { readManifest, treeHashOf } from '../../src/operator/agent/manifest.ts';
import { runProgram } from '../../src/operator/program.ts';
import { type Release, readRelease } from '../../src/operator/release/release.ts';
import { AgentRefused, type Host } from '../../src/operator/remote/host.ts';
import { buildForTests } from '../support/release.ts';
import { HAS_SSHD, SSHD } from '../support/sshd.ts';
import { type MachineLab, startLab } from './machine-lab.ts';

const TREE = {
  'package.json': '{ "type": "module" }',
  'src/main.ts': 'console.log(1);\n',
  'src/empty.ts': '',
  'src/deep/er/empty.ts': '',
  'scripts/frame': { text: '#!/bin/sh\n', executable: true },
  'src/twin.ts': 'the same twice',
  'bin/twin': { text: 'the same twice', executable: true },
  'node_modules/tool/cli.js': { text: 'tool', executable: true },
  'node_modules/.bin/tool': { link: '../tool/cli.js' },
  'src/ünï $(touch pwned) \'"`.ts': 'a name',
};

describe.skipIf(!HAS_SSHD)(SSHD, () => {
  let lab: MachineLab;
  let host: Host;
  beforeAll(async () => {
    lab = await startLab();
    host = await lab.open();
  });
  afterAll(async () => {
    await host[Symbol.asyncDispose]();
    await lab[Symbol.asyncDispose]();
  });
  beforeEach(() => rm(lab.layout.releases, { recursive: true, force: true }));

  const upload = (release: Release, onProgress = (_sent: number, _total: number) => {}) =>
    host.upload(release, onProgress);
  const isThere = ({ id }: Release) =>
    stat(lab.layout.release(id)).then(
      () => true,
      () => false,
    );

  test('invariant 22: a release is the same bytes on both ends', async () => {
    const release = await lab.release(1, TREE);
    await upload(release);
    const there = await readRelease(lab.layout.release(release.id));
    expect(there).toEqual({ ...release, folder: lab.layout.release(release.id) });
    for (const entry of release.manifest) {
      const [here, copy] = [release.folder, lab.layout.release(release.id)].map(folder => join(folder, entry.path));
      if (entry.kind === 'link') expect(await readlink(copy ?? '')).toBe(await readlink(here ?? ''));
      else expect(await readFile(copy ?? '')).toEqual(await readFile(here ?? ''));
    }
    const texts = [release.folder, lab.layout.release(release.id)].map(folder =>
      readFile(join(folder, 'release.json')),
    );
    expect(await texts[0]).toEqual(await texts[1]);
    expect(await readdir(lab.layout.releases)).toEqual([release.id]);
  });

  test('invariant 22: uploading it again changes nothing and sends nothing', async () => {
    const release = await lab.release(1, TREE);
    expect((await upload(release)).sentBytes).toBeGreaterThan(0);
    const before = await stat(lab.layout.release(release.id));
    expect(await upload(release)).toEqual({ sentBytes: 0 });
    const after = await stat(lab.layout.release(release.id));
    expect([after.ino, after.mtimeMs, after.ctimeMs]).toEqual([before.ino, before.mtimeMs, before.ctimeMs]);
  });

  test('of the next release, only what is new is sent, and what is old takes no room', async () => {
    const big = randomBytes(500_000).toString('hex');
    const first = await lab.release(1, { ...TREE, 'src/big.ts': big });
    const second = await lab.release(2, {
      ...TREE,
      'src/big.ts': big,
      'src/main.ts': 'console.log(2);\n',
      'src/again.ts': big,
    });
    const progress: [number, number][] = [];
    expect((await upload(first)).sentBytes).toBeGreaterThan(1_000_000);
    expect(await upload(second, (sent, total) => progress.push([sent, total]))).toEqual({ sentBytes: 16 });
    expect(progress.at(-1)).toEqual([16, 16]);
    const inodes = [first, second].map(({ id }) => stat(join(lab.layout.release(id), 'src/big.ts')));
    expect((await inodes[0])?.ino).toBe((await inodes[1])?.ino);
    expect(await readRelease(lab.layout.release(second.id))).toMatchObject({ file: second.file });
  });

  test('the Node that runs the agent is not sent a second time', async () => {
    const node = { path: 'node_modules/node/bin/node', content: await readFile(process.execPath) };
    const release = await lab.release(1, TREE);
    await mkdir(join(release.folder, dirname(node.path)), { recursive: true });
    await writeFile(join(release.folder, node.path), node.content, { mode: 0o755 });
    await chmod(join(release.folder, node.path), 0o755);
    const manifest = await readManifest(release.folder);
    const grown = { ...release, manifest, file: { ...release.file, tree: treeHashOf(manifest) } };
    expect((await upload(grown)).sentBytes).toBeLessThan(1_000);
    const [there, bin] = [join(lab.layout.release(release.id), node.path), lab.layout.node].map(file => stat(file));
    expect((await there)?.ino).toBe((await bin)?.ino);
  });

  test('progress is counted in bytes and ends at the total', async () => {
    const release = await lab.release(1, {
      'src/big.ts': randomBytes(2_000_000).toString('hex'),
      'src/small.ts': 'small',
    });
    const progress: number[] = [];
    const totals = new Set<number>();
    const { sentBytes } = await upload(release, (sent, total) => {
      progress.push(sent);
      totals.add(total);
    });
    expect(sentBytes).toBe(4_000_005);
    expect([...totals]).toEqual([sentBytes]);
    expect(progress.length).toBeGreaterThan(10);
    expect(progress).toEqual(progress.toSorted((a, b) => a - b));
    expect(progress.at(-1)).toBe(sentBytes);
  });

  test('invariant 21: an upload that is cut off leaves no release, and goes on where it was', async () => {
    const parts = Array.from({ length: 20 }, (_, i) => [`src/part-${i + 10}.ts`, randomBytes(100_000).toString('hex')]);
    const release = await lab.release(1, Object.fromEntries(parts));
    const arrived = async () => (await lab.list()).filter(name => /\/[0-9a-f]{64}$/.test(name)).length;
    // Where the upload stands still until somebody writes into it.
    const stop = join(release.folder, 'src/part-20.ts');
    const content = await readFile(stop);
    await rm(stop);
    await runProgram('mkfifo', [stop]);
    const writer = await open(stop, 'r+');
    const cut = upload(release).catch(thrown => thrown);
    await expect.poll(arrived, { timeout: 20_000 }).toBeGreaterThan(8);
    await lab.sshd.drop();
    await expect.poll(async () => await processes(lab.sshd.configFile), { timeout: 10_000 }).toEqual([]);
    await writer.close();
    expect(await cut).toMatchObject({ code: 'deploy/unreachable' });
    expect(await isThere(release)).toBe(false);

    await rm(stop);
    await writeFile(stop, content);
    const { sentBytes } = await upload(release);
    expect(sentBytes).toBeGreaterThanOrEqual(10 * 200_000);
    expect(sentBytes).toBeLessThanOrEqual(12 * 200_000);
    expect(await readRelease(lab.layout.release(release.id))).toMatchObject({ file: release.file });
    expect(await readdir(lab.layout.releases)).toEqual([release.id]);
  });

  test('invariant 21: what arrived and is not what was sent is sent again', async () => {
    const release = await lab.release(1, { 'src/one.ts': 'content one', 'src/two.ts': 'content two' });
    const partial = join(`${lab.layout.release(release.id)}.partial`, 'earlier');
    await mkdir(partial, { recursive: true });
    const [one, two] = release.manifest.map(entry => (entry.kind === 'file' ? entry.sha256 : ''));
    await writeFile(join(partial, one ?? ''), 'content 1ne');
    await writeFile(join(partial, two ?? ''), 'content two');
    expect(await upload(release)).toEqual({ sentBytes: 'content one'.length });
    expect(await readRelease(lab.layout.release(release.id))).toMatchObject({ file: release.file });
  });

  test('a file that lies ready as a link is not followed', async () => {
    const release = await lab.release(1, { 'src/one.ts': 'content one' });
    const partial = join(`${lab.layout.release(release.id)}.partial`, 'earlier');
    await mkdir(partial, { recursive: true });
    await writeFile(join(lab.folder, 'outside'), 'content one');
    const [entry] = release.manifest;
    await symlink(join(lab.folder, 'outside'), join(partial, entry?.kind === 'file' ? entry.sha256 : ''));
    expect(await upload(release)).toEqual({ sentBytes: 'content one'.length });
    const file = await lstat(join(lab.layout.release(release.id), 'src/one.ts'));
    expect(file.isFile()).toBe(true);
    expect(file.ino).not.toBe((await stat(join(lab.folder, 'outside'))).ino);
  });

  describe('while the agent puts it together', () => {
    const release = (number: number) =>
      lab.release(
        number,
        Object.fromEntries(Array.from({ length: 1_500 }, (_, i) => [`src/part-${i}.ts`, `${number} ${i}`])),
      );
    const begun = ({ id }: Release) =>
      expect
        .poll(
          async () => (await lab.list(`${lab.layout.release(id)}.partial`)).some(name => name.startsWith('tree-')),
          {
            interval: 5,
            timeout: 20_000,
          },
        )
        .toBe(true);

    test('invariant 20: neither a lost connection nor SIGHUP stops it', async () => {
      const one = await release(1);
      const uploading = Promise.allSettled([upload(one)]);
      await begun(one);
      for (const pid of await agents(lab)) process.kill(pid, 'SIGHUP');
      await lab.sshd.drop();
      await expect.poll(() => isThere(one), { timeout: 20_000 }).toBe(true);
      expect(await readRelease(lab.layout.release(one.id))).toMatchObject({ file: one.file });
      await uploading;
    });

    test('invariant 21: killed, it leaves no release, and what arrived need not be sent again', async () => {
      const one = await release(2);
      const uploading = upload(one).catch(thrown => thrown);
      await begun(one);
      for (const pid of await agents(lab)) process.kill(pid, 'SIGKILL');
      expect(await uploading).toMatchObject({
        code: 'deploy/failed',
        message: expect.stringContaining('(exit code 137)'),
      });
      expect(await isThere(one)).toBe(false);
      expect(await upload(one)).toEqual({ sentBytes: 0 });
      expect(await readRelease(lab.layout.release(one.id))).toMatchObject({ file: one.file });
      expect(await readdir(lab.layout.releases)).toEqual([one.id]);
    });
  });

  test('two uploads of one release at once: both succeed', async () => {
    const parts = Array.from({ length: 200 }, (_, i) => [`src/part-${i}.ts`, randomBytes(5_000).toString('hex')]);
    const release = await lab.release(1, Object.fromEntries(parts));
    await using other = await lab.open();
    const both = await Promise.all([host, other, host].map(each => each.upload(release, () => {})));
    for (const { sentBytes } of both) expect(sentBytes).toBeGreaterThanOrEqual(0);
    expect(await readRelease(lab.layout.release(release.id))).toMatchObject({ file: release.file });
    await host.upload(release, () => {});
    expect(await readdir(lab.layout.releases)).toEqual([release.id]);
  });

  test('two different releases at once do not disturb each other', async () => {
    const releases = await Promise.all([1, 2, 3].map(i => lab.release(i, { ...TREE, 'src/number.ts': `${i}` })));
    await Promise.all(releases.map(release => upload(release)));
    for (const { id, file } of releases) expect(await readRelease(lab.layout.release(id))).toMatchObject({ file });
    expect(await readdir(lab.layout.releases)).toEqual(releases.map(({ id }) => id));
  });

  test('a file that changes while it is sent is noticed, and there is no release', async () => {
    const release = await lab.release(1, { 'src/one.ts': 'as it was built', 'src/two.ts': 'two' });
    await appendFile(join(release.folder, 'src/one.ts'), ' or not');
    await expect(upload(release)).rejects.toThrow('has changed while it was read');
    await writeFile(join(release.folder, 'src/one.ts'), 'as it was BUILT');
    const refusal = await upload(release).catch(thrown => thrown);
    expect(refusal).toBeInstanceOf(AgentRefused);
    expect(refusal.message).toBe(`Release ${release.id}: 1 of its files did not arrive, src/one.ts is one of them.`);
    expect(await isThere(release)).toBe(false);
    await writeFile(join(release.folder, 'src/one.ts'), 'as it was built');
    expect(await upload(release)).toEqual({ sentBytes: 15 });
  });

  test.each([
    [
      'was changed',
      (folder: string) => writeFile(join(folder, 'src/main.ts'), 'console.log(6);\n'),
      'src/main.ts is not as it was built',
    ],
    [
      'got another mode',
      (folder: string) => chmod(join(folder, 'src/main.ts'), 0o755),
      'src/main.ts is not as it was built',
    ],
    ['may be written by all', (folder: string) => chmod(join(folder, 'src/main.ts'), 0o666), 'has the mode 666'],
    ['has one file more', (folder: string) => writeFile(join(folder, 'more'), ''), 'more does not belong to it'],
    [
      'says something else of itself',
      (folder: string) => appendFile(join(folder, 'release.json'), ' '),
      'release.json is not as it was built',
    ],
    ['has one file less', (folder: string) => rm(join(folder, 'src/main.ts')), 'src/main.ts is missing'],
  ])('a release on the machine that %s is no release, and is not mended silently', async (_, spoil, reason) => {
    const release = await lab.release(1, TREE);
    await upload(release);
    await spoil(lab.layout.release(release.id));
    const refusal = await upload(release).catch(thrown => thrown);
    expect(refusal).toBeInstanceOf(AgentRefused);
    expect(refusal.message).toContain(reason);
    expect(refusal.hint).toBe(`Remove ${lab.layout.release(release.id)} there when no slot has it.`);
  });

  test('a machine without room is not begun with', async () => {
    const release = await lab.release(1, TREE);
    const big = { path: 'z', kind: 'file', executable: false, size: 1e15, sha256: 'f'.repeat(64) } as const;
    const manifest = [...release.manifest, big];
    const file = { ...release.file, tree: treeHashOf(manifest) };
    const refusal = await upload({ ...release, manifest, file }).catch(thrown => thrown);
    expect(refusal).toMatchObject({ code: 'deploy/refused' });
    expect(refusal.message).toMatch(/^machine has \d+ MB free, and the release needs 1000000001 MB\.$/);
    expect(await lab.list()).toEqual([]);
  });

  test('a folder that must not be written is said', async () => {
    const release = await lab.release(1, TREE);
    await writeFile(lab.layout.releases, 'a file');
    const failure = await upload(release).catch(thrown => thrown);
    expect(failure).toMatchObject({ code: 'deploy/failed' });
    expect(failure.message).toMatch(/^The release cannot be sent \(machine\): mkdir: .*releases/);
    await rm(lab.layout.releases);
  });

  test('a real release runs where it was brought', async () => {
    const release = await buildForTests();
    await upload(release);
    expect(await readRelease(lab.layout.release(release.id))).toMatchObject({ file: release.file });
    expect(await upload(release)).toEqual({ sentBytes: 0 });
    const [node, main] = ['node_modules/.bin/node', 'src/main.ts'].map(path =>
      join(lab.layout.release(release.id), path),
    );
    const { exit, out } = await runProgram(node ?? '', [main ?? '', 'serve', '--help'], { env: {}, cwd: '/' });
    expect({ exit, out }).toEqual({ exit: 0, out: expect.stringContaining('frame serve') });
  }, 120_000);
});

/** The processes of agents on that machine. */
const agents = ({ layout }: MachineLab) => processes(`main.ts ${layout.home}`);

/** Those with these words in their command line. */
async function processes(words: string): Promise<number[]> {
  const { out } = await runProgram('ps', ['-eww', '-o', 'pid=,args=']);
  const lines = out.split('\n').filter(line => line.includes(words));
  return lines.map(line => Number.parseInt(line, 10));
}
