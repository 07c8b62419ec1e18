import { randomBytes } from 'node:crypto';
import type { OpenDatabase } from '../../src/operator/open-database.ts';
import { Secret } from '../../src/secret.ts';
import { createCheckpointKey } from '../../src/vault/checkpoint-key.ts';
import type { TestPlace } from '../tables/test-place.ts';

/** The database of a test place as a command has it open. The place closes it. */
export function databaseOf({ postgres, pools, keyStore, means }: TestPlace): OpenDatabase {
  return {
    server: postgres.server,
    pools,
    keyStore,
    dataKeys: means.dataKeys,
    checkpointKey: createCheckpointKey(new Secret(randomBytes(32))),
    passwordOf: means.keyring.rolePassword,
    [Symbol.asyncDispose]: async () => {},
  };
}
