import { layoutOf } from '../../../src/operator/agent/layout.ts';
import { flip } from '../../../src/operator/agent/slots.ts';

/** Flips to and fro until somebody ends it. */
const layout = layoutOf(process.argv[2] ?? '');
for (let count = 1; ; count += 1) {
  await flip(layout, count % 2 === 0 ? 'blue' : 'green');
  if (count % 50 === 0) console.log(count);
}
