import { createAuditLog } from '../audit/audit.ts';
import { createCheckpoints } from '../audit/checkpoints.ts';
import { createMonths } from '../audit/months.ts';
import type { Settings } from '../config/settings.ts';
import type { Read } from '../database/ledger.ts';
import { AUDIT_LOGIN } from '../database/place.ts';
import type { Pools } from '../database/pools.ts';
import type { Observe } from '../observe.ts';
import type { CheckpointKey } from '../vault/checkpoint-key.ts';

/** The record of every call, what is signed of it, and the months it is divided into. */
export function openAudit({ dataFolder, gateway }: Settings, pools: Pools, signer: CheckpointKey, observe: Observe) {
  const now = Date.now;
  const read: Read = (text, params) =>
    pools.query(AUDIT_LOGIN, text, params, { signal: AbortSignal.timeout(AUDIT_READ_MS) });
  const { secondPlace } = gateway.audit;
  const checkpoints = createCheckpoints({ dataFolder, secondPlace, signer, read, observe, now });
  const audit = createAuditLog({ pools, login: AUDIT_LOGIN, limits: gateway.audit, observe, checkpoints, now });
  const months = createMonths({ read, dataFolder, publicKey: signer.publicKey, say: checkpoints.say });
  return { audit, checkpoints, months };
}

// Private

/** A database that does not answer must not hold up the end of the process. */
const AUDIT_READ_MS = 10_000;
