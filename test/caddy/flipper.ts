import { setImmediate as turn } from 'node:timers/promises';
import { layoutOf } from '../../src/operator/agent/layout.ts';
import { flip } from '../../src/operator/agent/slots.ts';

/** `flipper.ts HOME`: flips as fast as it can until it is killed, and says so after each. */
const layout = layoutOf(process.argv[2] ?? '');
process.once('disconnect', () => process.exit(1));
for (let flips = 1; ; flips += 1) {
  await flip(layout, flips % 2 === 0 ? 'blue' : 'green');
  process.send?.(flips);
  await turn();
}
