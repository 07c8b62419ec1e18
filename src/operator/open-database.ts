import type { Settings } from '../config/settings.ts';
import type { Customer } from '../customers/customer.ts';
import { CONTROL_DATABASE, CONTROL_LOGIN } from '../database/place.ts';
import { createPools, type Pools } from '../database/pools.ts';
import { provision } from '../database/provision.ts';
import { type DatabaseServer, openServer } from '../database/server.ts';
import { toFrameError, WrongConfiguration } from '../errors.ts';
import { observeNothing } from '../observe.ts';
import { type CheckpointKey, createCheckpointKey } from '../vault/checkpoint-key.ts';
import { createDataKeys, type DataKeys } from '../vault/data-keys.ts';
import { createKeyring } from '../vault/keyring.ts';
import type { KeyStore } from '../vault/make-data-keys.ts';
import { readMasterKey } from '../vault/master-key.ts';
import { prepareDataKeys } from '../vault/prepare-data-keys.ts';

/** The database of a command, for as long as it runs: the one that is there, or the embedded one, joined or started. */
export interface OpenDatabase extends AsyncDisposable {
  server: DatabaseServer;
  pools: Pools;
  /** Where the keys of personal data are. */
  keyStore: KeyStore;
  dataKeys: DataKeys;
  /** Signs what is said of the audit log. */
  checkpointKey: CheckpointKey;
  passwordOf(role: string): string;
}

/**
 * `customers`: brought up to date first where the database is the embedded one; others belong to `frame migrate`. Their
 * keys must be there and right.
 */
export async function openDatabase(settings: Settings, customers: readonly Customer[]): Promise<OpenDatabase> {
  const masterKey = await readMasterKey(settings.masterKeyFile, settings.masterKeyMayBeCreated);
  const passwordOf = createKeyring(masterKey).rolePassword;
  const checkpointKey = createCheckpointKey(masterKey);
  await using opening = new AsyncDisposableStack();
  const server = await openServer({ ...settings, observe: observeNothing });
  opening.defer(() => server.close());
  if (server.embedded && customers.length > 0) await provision(server, customers, passwordOf, observeNothing);
  const pools = createPools({
    server: server.address,
    passwordOf,
    limits: settings.gateway.pools,
    observe: observeNothing,
  });
  opening.defer(() => pools.close());
  const keyStore = { pools, folder: settings.keyFolder };
  if (customers.length > 0) await prepareDataKeys(keyStore, customers, { mayMake: server.embedded });
  const dataKeys = createDataKeys({ ...keyStore, observe: observeNothing, now: () => performance.now() });
  const open = opening.move();
  const parts = { server, pools, keyStore, dataKeys, checkpointKey, passwordOf };
  return { ...parts, [Symbol.asyncDispose]: () => open.disposeAsync() };
}

/**
 * For commands that work with what is there and make nothing. Throws WrongConfiguration when nothing is, or nothing that
 * this master key opens: to Postgres that is a wrong password, and to us it would be one server more that is away.
 */
export async function joinDatabase(settings: Settings): Promise<OpenDatabase> {
  await using opening = new AsyncDisposableStack();
  const database = opening.use(await openDatabase({ ...settings, masterKeyMayBeCreated: false }, []));
  await database.pools.query(CONTROL_LOGIN, 'select 1').catch(async thrown => {
    if (!/^(28P01|3D000) /.test(toFrameError(thrown).detail ?? '')) throw thrown;
    const sentence = (await isMigrated(database.server))
      ? 'does not let us in: the master key is not the one that `frame migrate` ran with'
      : 'has nothing of Frame yet; run `frame migrate`';
    throw new WrongConfiguration([
      { file: settings.databaseUrl ? 'FRAME_DATABASE_URL' : settings.dataFolder, sentence },
    ]);
  });
  opening.move();
  return database;
}

// Private

/** Postgres asks for the password first, and says of a login that is not there that the password is wrong. */
async function isMigrated(server: DatabaseServer): Promise<boolean> {
  const owner = await server.connectAsOwner(CONTROL_DATABASE).catch(() => undefined);
  await owner?.close();
  return owner !== undefined;
}
