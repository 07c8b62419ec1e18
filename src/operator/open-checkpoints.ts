import { type Checkpoints, createCheckpoints } from '../audit/checkpoints.ts';
import type { Settings } from '../config/settings.ts';
import type { Read } from '../database/ledger.ts';
import { AUDIT_LOGIN } from '../database/place.ts';
import type { Pools } from '../database/pools.ts';
import { observeNothing } from '../observe.ts';
import type { OpenDatabase } from './open-database.ts';

/** The checkpoints of the audit log, for a command that adds to it or speaks of it. */
export function openCheckpoints(
  { dataFolder, gateway }: Settings,
  { pools, checkpointKey }: Pick<OpenDatabase, 'pools' | 'checkpointKey'>,
): Checkpoints {
  return createCheckpoints({
    dataFolder,
    secondPlace: gateway.audit.secondPlace,
    signer: checkpointKey,
    read: readAudit(pools),
    observe: observeNothing,
    now: Date.now,
  });
}

export function readAudit(pools: Pools): Read {
  return (text, params) => pools.query(AUDIT_LOGIN, text, params);
}
