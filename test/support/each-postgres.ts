import { existsSync } from 'node:fs';
import { chown, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Cluster } from '../../src/database/embedded-cluster.ts';
import { startPostmaster } from '../../src/database/embedded-postmaster.ts';
import { chooseIdentity, run } from '../../src/database/embedded-process.ts';
import { type DatabaseServer, openServer } from '../../src/database/server.ts';
import { observeNothing } from '../../src/observe.ts';
import { Secret } from '../../src/secret.ts';
import { makeDataFolder, removeDataFolder } from './data-folder.ts';
import { freePorts } from './free-ports.ts';
import { startOwnPostgres, urlOf } from './postgres.ts';

/** A Postgres that belongs to one test file. */
export interface TestPostgres {
  server: DatabaseServer;
  url: Secret;
  remove(): Promise<void>;
}

const OLDEST = '/usr/lib/postgresql/15/bin';

/** The embedded Postgres, and the oldest one that Frame works with: for `describe.each`. */
export const EACH_POSTGRES = [
  { name: 'the embedded Postgres', isThere: true, start: startOwnPostgres },
  existsSync(OLDEST)
    ? { name: 'Postgres 15', isThere: true, start: startOldest }
    : { name: `Postgres 15 (skipped: nothing in ${OLDEST})`, isThere: false, start: startOldest },
];

async function startOldest(): Promise<TestPostgres> {
  const home = await makeDataFolder();
  const folder = join(home, 'postgres');
  await mkdir(folder);
  const identity = await chooseIdentity(folder);
  if (identity.uid !== undefined && identity.gid !== undefined) await chown(folder, identity.uid, identity.gid);
  const data = join(folder, 'data');
  const passwordFile = join(folder, 'password');
  await writeFile(passwordFile, 'of-a-test');
  const options = ['--username=postgres', '--auth=scram-sha-256', '--encoding=UTF8', '--locale=C', '--no-sync'];
  await run(identity, join(OLDEST, 'initdb'), [`--pgdata=${data}`, `--pwfile=${passwordFile}`, ...options]);
  const program = join(OLDEST, 'postgres');
  const cluster: Cluster = { folder, data, identity, program, password: new Secret('of-a-test') };
  const postmaster = await startPostmaster(cluster, await freePorts(1));
  const url = urlOf(cluster, postmaster);
  return {
    server: await openServer({ databaseUrl: url, dataFolder: folder, observe: observeNothing }),
    url,
    remove: () => removeDataFolder(home),
  };
}
