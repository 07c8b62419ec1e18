/**
 * `npm run bench`: what a call through the whole door costs, beside what costs less because it does less. Figures depend
 * on the machine; read ratios within one run. docs/performance.md says what they mean.
 */
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { compare, median, type Sample } from './bench/compare.ts';
import { fillTable, startCold } from './bench/frame.ts';
import { goalsOf } from './bench/goals.ts';
import { type Options, readOptions, USAGE } from './bench/options.ts';
import { profileSelect } from './bench/profile.ts';
import {
  coldStartLine,
  comparisonTable,
  goalsTable,
  LEGEND,
  migrationLine,
  profileTables,
  trendTable,
} from './bench/report.ts';
import { openStage, type Stage } from './bench/stage.ts';
import { openTargets } from './bench/targets.ts';
import { measureTraps } from './bench/traps.ts';

const COLD_STARTS = 5;

const options = readOptionsOrEnd();

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
  switch (options.mode) {
    case 'help':
      return console.log(USAGE);
    case 'compare':
      return compareAll(await openFilledStage());
    case 'traps':
      return console.log(trendTable(await measureTraps(await openFilledStage())));
    case 'profile':
      return console.log(profileTables(await profileSelect(await openFilledStage())));
    case 'entities':
      return console.log(migrationLine(await openStage(closing, options.entities)));
  }
}

async function toldToStop(): Promise<void> {
  await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
  process.exitCode = 1;
}

async function openFilledStage(): Promise<Stage> {
  const stage = await openStage(closing);
  await fillTable(stage);
  return stage;
}

async function compareAll(stage: Stage): Promise<void> {
  const { targets: wanted, seconds, rounds, jsonFile } = options;
  const coldStart = [...wanted].some(name => name.startsWith('frame')) ? await measureColdStart(stage) : undefined;
  if (coldStart) console.log(`${coldStartLine(coldStart)}\n`);

  const targets = closing.use(await openTargets(stage, wanted));
  const samples: Sample[] = [];
  for await (const found of compare(targets.all, options)) {
    samples.push(...found);
    console.log(`${comparisonTable(found, targets.missing)}\n`);
  }
  const goals = goalsOf(samples, coldStart);
  console.log(`${LEGEND}\n\n${goalsTable(goals)}`);

  const machine = { cpu: cpus()[0]?.model, cores: cpus().length, platform: process.platform, node: process.version };
  const missing = Object.fromEntries(targets.missing);
  const report = { at: new Date().toISOString(), machine, seconds, rounds, coldStart, goals, missing, samples };
  await writeFile(jsonFile, `${JSON.stringify(report, null, 2)}\n`);
}

async function measureColdStart(stage: Stage) {
  const starts = [];
  for (let i = 0; i < COLD_STARTS; i += 1) starts.push(await startCold(stage));
  return {
    milliseconds: median(starts.map(({ milliseconds }) => milliseconds)),
    idleRssMb: median(starts.map(({ idleRssMb }) => idleRssMb)),
  };
}

function readOptionsOrEnd(): Options {
  try {
    return readOptions(process.argv.slice(2));
  } catch (thrown) {
    console.error(`${thrown instanceof Error ? thrown.message : thrown}\n\n${USAGE}`);
    process.exit(2);
  }
}
