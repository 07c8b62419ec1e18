/**
 * `npm run bench`: what a call through the whole door costs, beside what costs less because it does less. Figures depend
 * on the machine; read ratios within one run. docs/performance.md says what they mean.
 */
import { writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { compare, median, type Sample } from './bench/compare.ts';
import { fillTables, startCold } from './bench/frame.ts';
import { goalsOf } from './bench/goals.ts';
import { type ItemsTable, SEALED_TABLE, TABLE } from './bench/items.ts';
import { type Options, readOptions, USAGE } from './bench/options.ts';
import { profileSelect } from './bench/profile.ts';
import {
  coldStartLine,
  comparisonTable,
  goalsTable,
  LEGEND,
  migrationLine,
  profileTables,
  treesTable,
  trendTable,
} from './bench/report.ts';
import { openStage, type Stage } from './bench/stage.ts';
import { isFrame, openTargets } from './bench/targets.ts';
import { toldToStop } from './bench/told-to-stop.ts';
import { measureTraps } from './bench/traps.ts';
import { openTrees } from './bench/trees.ts';

const COLD_STARTS = 5;

/** Of callers: here few of them ask as much as all together. Queries of run_sql get as many connections as other reads. */
const WITHOUT_LIMITS = {
  rates_per_minute: { caller: 0, run_sql: 0 },
  sql: { per_caller: 64, per_place: 4, total: 64, wait_ms: 10_000 },
};

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
      return compareAll(await openFilledStage([TABLE, SEALED_TABLE]));
    case 'against':
      return compareTrees();
    case 'traps':
      return console.log(trendTable(await measureTraps(await openFilledStage())));
    case 'profile':
      return console.log(profileTables(await profileSelect(await openFilledStage())));
    case 'entities':
      return console.log(migrationLine(await openStage(closing, { entities: options.entities })));
  }
}

async function openFilledStage(tables?: readonly ItemsTable[]): Promise<Stage> {
  const stage = await openStage(closing, { config: WITHOUT_LIMITS });
  await fillTables(stage, tables);
  return stage;
}

/** This tree and another one, in turn. */
async function compareTrees(): Promise<void> {
  const targets = await openTrees(closing, options.against);
  for await (const samples of compare(targets, options)) console.log(`${treesTable(samples)}\n`);
}

async function compareAll(stage: Stage): Promise<void> {
  const { targets: wanted, seconds, rounds, jsonFile } = options;
  const coldStart = [...wanted].some(isFrame) ? await measureColdStart(stage) : undefined;
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
