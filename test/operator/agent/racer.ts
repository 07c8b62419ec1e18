import { existsSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { Refused } from '../../../src/operator/agent/deed.ts';
import { takeLock } from '../../../src/operator/agent/lock.ts';

/** One of many who want the same lock: starts when the file `go` is there, says what came of it, and keeps what it got. */
const [lock = '', go = '', force] = process.argv.slice(2);
console.log('waiting');
while (!existsSync(go)) await pause(1);
try {
  const { broken } = await takeLock(lock, { verb: 'race', by: 'racer', force: force === 'force' });
  console.log(`won${broken ? ` after ${broken.by}` : ''}`);
} catch (thrown) {
  console.log(thrown instanceof Refused && thrown.refusal.exit === 75 ? 'lost' : String(thrown));
}
// Until somebody ends it: a lock whose holder has ended is free for all.
await pause(60_000);
