/**
 * `npm run bench-flip`: requests that fail, and how long the others take, while traffic moves from one slot to the other:
 * by our flip, and by `caddy reload`. docs/performance.md says what the figures mean.
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { findCaddies } from '../test/support/caddy.ts';
import { failuresOf, latencyOf } from '../test/support/flip-load.ts';
import { type Seen, WAYS, watchFlips } from './bench/flips.ts';
import { show, toTable } from './bench/table.ts';
import { toldToStop } from './bench/told-to-stop.ts';

const USAGE = `Usage: npm run bench-flip -- [options]

Two slots that echo behind Caddy, 16 clients that never ask again, 8 event streams. About a minute.

  --flips N   of each kind; default 30`;

/** A request counts as near a flip when it was under way during it or so long after. */
const AFTERMATH_MS = 100;
const HEAD = [
  ...['', 'flips', 'ms each', 'requests', 'failed', 'streams cut'],
  ...['p50 ms', 'p99', 'max', 'near: p50', 'p99', 'max'],
];

const flips = readFlipsOrEnd();
const closing = new AsyncDisposableStack();
try {
  await Promise.race([run(), toldToStop()]);
} catch (thrown) {
  console.error(thrown);
  process.exitCode = 1;
} finally {
  await closing.disposeAsync();
}
process.exit();

async function run(): Promise<void> {
  const rows: string[][] = [];
  const losses: string[] = [];
  for (const { title, file } of await findCaddies()) {
    if (file === undefined) losses.push(`Not measured: ${title}.`);
    else {
      for (const way of WAYS) {
        const seen = await watchFlips(way, file, flips, closing);
        const name = `${title}, ${way}`;
        rows.push([name, ...toRow(seen)]);
        losses.push(...lossesOf(name, seen));
      }
    }
  }
  console.log(`${toTable([HEAD, ...rows])}\n`);
  if (losses.length > 0) console.log(`${losses.join('\n')}\n`);
  console.log(`${availableParallelism()} cores for clients, Caddy and slots together. Times are without the POSTs that
take 400 ms on purpose. near: under way during a flip or in the ${AFTERMATH_MS} ms after it.`);
}

function toRow({ flips: times, asked, streams }: Seen): string[] {
  const quick = asked.filter(({ kind }) => kind !== 'slow POST');
  const near = quick.filter(({ askedAt, endedAt }) =>
    times.some(({ begun, over }) => askedAt < over + AFTERMATH_MS && endedAt > begun),
  );
  const figures = [latencyOf(quick), latencyOf(near)].flatMap(({ p50, p99, max }) => [p50, p99, max]);
  return [
    `${times.length}`,
    show(times.reduce((sum, { begun, over }) => sum + over - begun, 0) / times.length, 1),
    `${asked.length}`,
    `${asked.filter(({ failure }) => failure !== undefined).length}`,
    `${streams.filter(({ end, gaps }) => end === 'cut' || gaps !== 0).length}`,
    ...figures.map(figure => show(figure, 1)),
  ];
}

function lossesOf(name: string, { asked }: Seen): string[] {
  const failures = Object.entries(failuresOf(asked)).map(([failure, times]) => `${times} × ${failure}`);
  return failures.length > 0 ? [`${name} lost ${failures.join(', ')}`] : [];
}

function readFlipsOrEnd(): number {
  try {
    const options = { flips: { type: 'string', default: '30' }, help: { type: 'boolean', short: 'h' } } as const;
    const { values } = parseArgs({ options });
    if (values.help) {
      console.log(USAGE);
      process.exit();
    }
    const number = Number(values.flips);
    if (!(Number.isInteger(number) && number > 0)) throw new Error(`--flips ${values.flips}: write a whole number`);
    return number;
  } catch (thrown) {
    console.error(`${thrown instanceof Error ? thrown.message : thrown}\n\n${USAGE}`);
    process.exit(2);
  }
}
