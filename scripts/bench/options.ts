import { parseArgs } from 'node:util';
import { TARGETS, type TargetName } from './targets.ts';

export interface Options {
  /** Of one window of load. */
  seconds: number;
  rounds: number;
  connections: readonly number[];
  patienceSeconds: number;
  targets: ReadonlySet<TargetName>;
  jsonFile: string;
  mode: 'compare' | (typeof MODES)[number];
  /** Of the customer, for `entities`. */
  entities: number;
  /** The folder of another tree, for `against`. */
  against: string;
}

export const USAGE = `Usage: npm run bench -- [options]

Puts load on a \`frame serve\` of its own, and in the same rounds on what it is compared with. About eight minutes.

  --seconds N    of each window of load; default 1
  --rounds N     default 8
  --c LIST       concurrency; default 64,16,1: code that has run often is compiled when it is alone
  --only LIST    targets whose names begin so: frame,toolbox
  --patience N   seconds to wait in all for a machine that others leave alone; default 0
  --json FILE    where the figures go; default bench-<date>.json

Instead of comparing:
  --traps        does a query of our pool cost the same after a while, and one of postgres.js without it
  --profile      where the time of one select goes, by room
  --against DIR  select and insert of this tree beside those of another one, such as a work tree of an older commit
  --entities N   how long \`frame migrate\` takes for a customer with so many entities`;

/** Throws an Error whose message is for the person who typed them. */
export function readOptions(args: string[]): Options {
  const { values } = parseArgs({
    args,
    options: {
      seconds: { type: 'string', default: '1' },
      rounds: { type: 'string', default: '8' },
      c: { type: 'string', default: '64,16,1' },
      patience: { type: 'string', default: '0' },
      only: { type: 'string' },
      json: { type: 'string', default: `bench-${new Date().toISOString().slice(0, 10)}.json` },
      traps: { type: 'boolean' },
      profile: { type: 'boolean' },
      against: { type: 'string' },
      entities: { type: 'string' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  const { entities = '1', against = '' } = values;
  const mode = MODES.find(name => values[name] !== undefined) ?? 'compare';
  return {
    seconds: atLeast(0.1, 'seconds', values.seconds),
    rounds: atLeast(1, 'rounds', values.rounds),
    connections: listOf(values.c).map(text => atLeast(1, 'c', text)),
    patienceSeconds: atLeast(0, 'patience', values.patience),
    targets: new Set(values.only === undefined ? TARGETS : listOf(values.only).flatMap(targetsThatBegin)),
    jsonFile: values.json,
    mode,
    entities: atLeast(1, 'entities', entities),
    against,
  };
}

// Private

const MODES = ['help', 'traps', 'profile', 'against', 'entities'] as const;

function listOf(text: string): string[] {
  return text
    .split(',')
    .map(part => part.trim())
    .filter(Boolean);
}

function targetsThatBegin(start: string): TargetName[] {
  const found = TARGETS.filter(name => name.startsWith(start));
  if (found.length > 0) return found;
  throw new Error(`--only ${start}: the targets are ${TARGETS.join(', ')}`);
}

function atLeast(least: number, name: string, text: string): number {
  const number = Number(text);
  if (number >= least) return number;
  throw new Error(`--${name} ${text}: write a number from ${least}`);
}
