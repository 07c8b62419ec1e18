import { createAuditLog } from '../../src/audit/audit.ts';
import { createCheckpoints } from '../../src/audit/checkpoints.ts';
import { DEFAULT_GATEWAY_CONFIG } from '../../src/config/gateway-config.ts';
import { AUDIT_LOGIN } from '../../src/database/place.ts';
import { createPools } from '../../src/database/pools.ts';
import { observeNothing } from '../../src/observe.ts';
import { Secret } from '../../src/secret.ts';
import { createCheckpointKey } from '../../src/vault/checkpoint-key.ts';

/**
 * A slot that appends until it is told to stop, or killed: `node append-forever.ts PORT DATA-FOLDER SECOND-PLACE NAME`. It
 * prints the request id of every append that was acknowledged.
 */
const [port, dataFolder = '', secondPlace, name] = process.argv.slice(2);
const pools = createPools({
  server: { host: '127.0.0.1', port: Number(port), ssl: 'disable' },
  passwordOf: role => `password of ${role}`,
  limits: DEFAULT_GATEWAY_CONFIG.pools,
  observe: observeNothing,
});
const checkpoints = createCheckpoints({
  dataFolder,
  secondPlace,
  signer: createCheckpointKey(new Secret(Buffer.alloc(32, 7))),
  read: (text, params) => pools.query(AUDIT_LOGIN, text, params),
  observe: observeNothing,
  now: Date.now,
  everyRecords: 3,
});
const limits = { flushRecords: 4, queue: 100 };
const log = createAuditLog({ pools, login: AUDIT_LOGIN, limits, observe: observeNothing, checkpoints, now: Date.now });
let isToldToStop = false;
process.on('SIGTERM', () => {
  isToldToStop = true;
});

await Promise.all(
  ['a', 'b', 'c'].map(async entity => {
    for (let i = 0; !isToldToStop; i++) {
      const requestId = `${name} ${entity} ${i}`;
      await log.append({
        at: Date.now(),
        requestId,
        customer: 'axe',
        entity,
        actor: { system: 'test' },
        tool: 'select_rows',
        phase: 'call',
        outcome: 'ok',
      });
      process.stdout.write(`${requestId}\n`);
    }
  }),
);
await log.close();
await pools.close();
