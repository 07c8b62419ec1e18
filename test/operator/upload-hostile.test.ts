import { lstat, mkdir, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { assemble } from '../../src/operator/agent/assemble.ts';
import { Refused, type Scene } from '../../src/operator/agent/deed.ts';
import { layoutOf } from '../../src/operator/agent/layout.ts';
import { treeHashOf } from '../../src/operator/agent/manifest.ts';
import { offer } from '../../src/operator/agent/offer.ts';
import type { Described, Manifest, ReleaseFile } from '../../src/operator/agent/protocol.ts';
import { makeFolder } from './fixture.ts';

/** sha256 of `x`, which is uploaded before every test. */
const X = '2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881';
const ID = '20260101T000001Z-0000001';

const file = (path: string, more: object = {}) => ({
  path,
  kind: 'file',
  executable: false,
  size: 1,
  sha256: X,
  ...more,
});
const link = (path: string, target: string) => ({ path, kind: 'link', target });

let folder: { path: string } & AsyncDisposable;
let scene: Scene;
beforeEach(async () => {
  folder = await makeFolder();
  const layout = layoutOf(join(folder.path, 'frame'));
  scene = { layout, by: 'anna@laptop', dryRun: false, tell: () => {} };
  await mkdir(join(layout.releases, `${ID}.partial`, 'token'), { recursive: true });
  await writeFile(join(layout.releases, `${ID}.partial`, 'token', X), 'x', { mode: 0o644 });
  return () => folder[Symbol.asyncDispose]();
});

function describe(entries: unknown, id = ID, more: Partial<ReleaseFile> = {}): Described {
  const manifest = entries as Manifest;
  return { id, manifest, file: { release: id, tree: treeHashOf(manifest), ...more } as ReleaseFile };
}

/** What came of it: the answer, or what was thrown. */
const ask = (entries: unknown, id?: string, more?: Partial<ReleaseFile>): Promise<unknown> =>
  assemble(describe(entries, id, more), scene).catch(thrown => thrown);

test('a harmless manifest becomes a release', async () => {
  expect(await ask([link('bin/x', '../src/x'), file('src/x')])).toEqual({ id: ID, treeHash: expect.any(String) });
  expect(await readdir(scene.layout.releases)).toEqual([ID]);
});

test.each<[string, unknown[]]>([
  ['an absolute path', [file('/tmp/frame-pwned')]],
  ['a path that climbs out', [file('../frame-pwned')]],
  ['a path that climbs out later', [file('src/../../frame-pwned')]],
  ['a path that climbs and stays', [file('src/../x')]],
  ['the folder itself', [file('.')]],
  ['its parent', [file('..')]],
  ['an empty path', [file('')]],
  ['an empty part', [file('src//x')]],
  ['a slash at the end', [file('src/')]],
  ['a NUL', [file('src/x\0.ts')]],
  ['a path that is no text', [file(['src'] as unknown as string)]],
  ['release.json', [file('release.json')]],
  ['a path twice', [file('x'), file('x')]],
  ['another order', [file('y'), file('x')]],
  ['a file below a file', [file('src'), file('src/x')]],
  ['a file below a link', [file('a'), link('b', 'a'), file('b/x')]],
  ['a link to outside', [link('x', '../../../etc/passwd')]],
  ['an absolute link', [link('x', '/etc/passwd')]],
  ['a link to a folder', [file('src/x'), link('to', 'src')]],
  ['a link to the folder of all', [link('src/to', '..'), file('x')]],
  ['a link to itself', [link('x', 'x')]],
  ['a link to a link', [link('a', 'b'), link('b', 'c'), file('c')]],
  ['a link by a detour', [file('src/x'), link('to', 'src/../src/x')]],
  ['a link by a detour through itself', [link('a', './b'), file('b')]],
  ['a link that leads nowhere', [link('x', 'y')]],
  ['a link to nothing', [link('x', '')]],
  ['a link to what is no text', [link('x', null as unknown as string)]],
  ['a digest that is a path', [file('x', { sha256: '../../shared/master.key' })]],
  ['a digest in capitals', [file('x', { sha256: X.toUpperCase() })]],
  ['a negative size', [file('x', { size: -1 })]],
  ['half a byte', [file('x', { size: 0.5 })]],
  ['a mode that is no yes or no', [file('x', { executable: 'yes' })]],
  ['a kind that nobody knows', [{ path: 'x', kind: 'device', major: 1 }]],
])('a manifest with %s is refused before anything is written', async (_, entries) => {
  const refusal = await ask(entries);
  expect(refusal).toBeInstanceOf(Refused);
  expect(String(refusal)).toContain('its manifest is wrong');
  expect(await readdir(scene.layout.releases)).toEqual([`${ID}.partial`]);
  expect(await readdir(join(scene.layout.releases, `${ID}.partial`))).toEqual(['token']);
  const offered = await offer(describe(entries), scene).catch(thrown => thrown);
  expect(offered).toBeInstanceOf(Refused);
});

test.each(['..', '../shared', '', '.', 'a/b', `${ID}.partial`, `${ID}\n`, `${ID}/`, '20260101T000001Z-000000G', 'x'])(
  'the name %j is no name of a release',
  async id => {
    const refusal = await ask([file('x')], id);
    expect(refusal).toBeInstanceOf(Refused);
    expect(String(refusal)).toContain('is no name of a release');
  },
);

test.each([
  ['another release', { release: '20260101T000002Z-0000002' }],
  ['other contents', { tree: '0'.repeat(64) }],
])('a release.json that speaks of %s is refused', async (_, more) => {
  expect(await ask([file('x')], ID, more)).toBeInstanceOf(Refused);
  expect(await readdir(scene.layout.releases)).toEqual([`${ID}.partial`]);
});

test('a manifest whose sizes lie gets nothing', async () => {
  expect(String(await ask([file('x', { size: 2 })]))).toContain('1 of its files did not arrive');
  expect(await readdir(scene.layout.releases)).toEqual([`${ID}.partial`]);
});

test('a name of the release that leads somewhere else is not written through', async () => {
  const elsewhere = join(folder.path, 'elsewhere');
  await mkdir(elsewhere);
  await symlink(elsewhere, scene.layout.release(ID));
  expect(await ask([file('x')])).toBeInstanceOf(Refused);
  expect(await readdir(elsewhere)).toEqual([]);
});

test('a name that is a file is no release', async () => {
  await writeFile(scene.layout.release(ID), '');
  expect(await ask([file('x')])).toBeInstanceOf(Refused);
  expect((await lstat(scene.layout.release(ID))).isFile()).toBe(true);
});

test('what half-written releases and strangers have is no source', async () => {
  const [partial, stranger] = ['20260101T000002Z-0000002.partial', 'stranger'];
  for (const name of [partial, stranger]) {
    await mkdir(join(scene.layout.releases, name), { recursive: true });
    await writeFile(join(scene.layout.releases, name, 'y'), 'y', { mode: 0o644 });
  }
  const y = 'a1fce4363854ff888cff4b8e7875d600c2682390412a8cf79b37d0b11148b0fa';
  expect(await offer(describe([file('y', { sha256: y })]), scene)).toMatchObject({ complete: false, missing: [y] });
});

test('an attempt that failed leaves what arrived, and nothing else', async () => {
  expect(String(await ask([file('x'), file('y', { sha256: '0'.repeat(64) })]))).toContain('y is one of them');
  expect(await readdir(join(scene.layout.releases, `${ID}.partial`), { recursive: true })).toEqual([
    'token',
    `token/${X}`,
  ]);
  await rm(join(scene.layout.releases, `${ID}.partial`), { recursive: true });
});
