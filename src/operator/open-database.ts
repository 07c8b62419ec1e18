import type { Settings } from '../config/settings.ts';
import type { Customer } from '../customers/customer.ts';
import { createPools, type Pools } from '../database/pools.ts';
import { provision } from '../database/provision.ts';
import { type DatabaseServer, openServer } from '../database/server.ts';
import { observeNothing } from '../observe.ts';
import { createKeyring } from '../vault/keyring.ts';
import { readMasterKey } from '../vault/master-key.ts';

/** The database of a command, for as long as it runs: the one that is there, or the embedded one, joined or started. */
export interface OpenDatabase extends AsyncDisposable {
  server: DatabaseServer;
  pools: Pools;
  passwordOf(role: string): string;
}

/** `customers`: brought up to date first where the database is the embedded one; others belong to `frame migrate`. */
export async function openDatabase(settings: Settings, customers: readonly Customer[]): Promise<OpenDatabase> {
  const keyring = createKeyring(await readMasterKey(settings.masterKeyFile, settings.masterKeyMayBeCreated));
  const passwordOf = keyring.rolePassword;
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
  const open = opening.move();
  return { server, pools, passwordOf, [Symbol.asyncDispose]: () => open.disposeAsync() };
}
