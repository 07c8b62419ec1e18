import { describe, expect, test } from 'vitest';
import { FrameError } from '../../src/errors.ts';
import { guardSql } from '../../src/sql/guard.ts';
import { BOMBS, hostileExpressions, hostileRelations, hostileStatements } from './attacks.ts';
import {
  createRandom,
  disguise,
  EXPRESSION_HOLES,
  fill,
  hostileSeeds,
  makeMutants,
  QUERY_HOLES,
  RELATION_HOLES,
  WRAPS,
} from './mutants.ts';
import { ORDINARY, shop } from './ordinary.ts';

const TABLES = shop();
const VICTIM = { schema: 'studio_prod', role: 'own_0123456789ab' };
const SEED = 20_261_120;
const MUTANTS = 8000;

/** The code of the refusal; undefined for a query that was let through. */
async function verdict(text: string): Promise<string | undefined> {
  try {
    await guardSql(text, TABLES, 51);
    return undefined;
  } catch (thrown) {
    if (thrown instanceof FrameError) return thrown.code;
    throw thrown;
  }
}

const letThrough = async (texts: readonly string[]) => {
  const verdicts = await Promise.all(texts.map(async text => [text, await verdict(text)] as const));
  return verdicts.filter(([, code]) => code === undefined).map(([text]) => text);
};

describe('the frame of the mutants is harmless', () => {
  const holes = [
    ...EXPRESSION_HOLES.map(hole => fill(hole, '1')),
    ...RELATION_HOLES.map(hole => fill(hole, 'items')),
    ...QUERY_HOLES.map(hole => fill(hole, 'select 1 as one')),
  ];

  test('every hole with something harmless in it is let through, wrapped and disguised too', async () => {
    const random = createRandom(SEED);
    const wrapped = [
      ...WRAPS.flatMap(wrap => ['select 1 as one', 'select name from customers'].map(text => fill(wrap, text))),
      ...holes,
      ...ORDINARY,
    ].flatMap(text => [text, disguise(text, random), disguise(text, random)]);
    const refused = [];
    for (const text of wrapped) {
      const code = await verdict(text);
      if (code) refused.push([code, text]);
    }
    expect(refused).toEqual([]);
    expect(wrapped.length).toBeGreaterThan(500);
  });
});

describe('nothing hostile is let through', () => {
  test('alone', async () => {
    const alone = [
      ...[...hostileExpressions(VICTIM), ...BOMBS].map(expression => `select ${expression}`),
      ...hostileRelations(VICTIM).map(relation => `select * from ${relation}`),
      ...hostileStatements(VICTIM),
    ];
    expect(alone.length).toBeGreaterThan(200);
    expect(await letThrough(alone)).toEqual([]);
  });

  test(`as one of ${MUTANTS} mutants of seed ${SEED}`, async () => {
    const codes: Record<string, number> = {};
    const through: unknown[] = [];
    const distinct = new Set<string>();
    const seeds = hostileSeeds(VICTIM);
    const used = new Set<string>();
    for (const mutant of makeMutants(MUTANTS, SEED, seeds)) {
      used.add(mutant.seed);
      const code = await verdict(mutant.text);
      distinct.add(mutant.text);
      if (code === undefined) through.push(mutant);
      else codes[code] = (codes[code] ?? 0) + 1;
    }
    expect(through).toEqual([]);
    expect(distinct.size).toBeGreaterThan(MUTANTS * 0.9);
    // Every attack had its turn.
    expect(
      Object.values(seeds)
        .flat()
        .filter(seed => !used.has(seed)),
    ).toEqual([]);
    // A mutant that is no SQL proves nothing.
    expect(codes['sql/syntax'] ?? 0).toBeLessThan(MUTANTS * 0.1);
  }, 120_000);
});
