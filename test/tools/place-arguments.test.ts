import { describe, expect, test } from 'vitest';
import { placeProperties, takePlace } from '../../src/tools/place-arguments.ts';
import { callerOf, entity } from './fixture.ts';

const one = callerOf([entity('axe', 'prod')]);
const onlyDev = callerOf([entity('axe', 'dev')]);
const environments = callerOf([entity('axe', 'prod', 'dev')]);
const several = callerOf([entity('axe', 'prod', 'dev'), entity('studio', 'staging')]);

const placeOf = (caller: typeof one, args: Record<string, unknown> = {}) => {
  const [{ entity, environment }, rest] = takePlace(caller, args);
  return [entity.id, environment, rest];
};

describe('what a caller sees (contract §4)', () => {
  test('nothing where there is no choice', () => {
    for (const caller of [one, onlyDev]) expect(placeProperties(caller)).toEqual({ properties: {}, required: [] });
  });

  test('the environment where the entity has several', () => {
    expect(placeProperties(environments)).toEqual({
      properties: { environment: { type: 'string', enum: ['prod', 'dev'], default: 'prod' } },
      required: [],
    });
  });

  test('the entity where there are several, and it must be said', () => {
    expect(placeProperties(several)).toMatchObject({
      properties: { entity: { type: 'string', enum: ['axe', 'studio'] } },
      required: ['entity'],
    });
  });
});

describe('what a caller gets', () => {
  test('prod unless it is said otherwise; the only one where there is one', () => {
    expect(placeOf(one)).toEqual(['axe', 'prod', {}]);
    expect(placeOf(onlyDev)).toEqual(['axe', 'dev', {}]);
    expect(placeOf(environments)).toEqual(['axe', 'prod', {}]);
    expect(placeOf(environments, { environment: 'dev', table: 't' })).toEqual(['axe', 'dev', { table: 't' }]);
    expect(placeOf(several, { entity: 'studio' })).toEqual(['studio', 'staging', {}]);
    expect(placeOf(several, { entity: 'axe' })).toEqual(['axe', 'prod', {}]);
  });

  test('an argument that does not exist for them stays, and the tool refuses it', () => {
    expect(placeOf(one, { entity: 'studio', environment: 'dev' })).toEqual([
      'axe',
      'prod',
      { entity: 'studio', environment: 'dev' },
    ]);
    expect(placeOf(environments, { entity: 'axe' })).toEqual(['axe', 'prod', { entity: 'axe' }]);
  });

  test.each([undefined, 'nordwind', '', 'AXE', 'axe ', null, 7, ['axe'], { id: 'axe' }, '__proto__'])(
    'entity %j is refused with their own',
    wanted => {
      expect(() => takePlace(several, { entity: wanted })).toThrow(
        expect.objectContaining({ code: 'args/invalid', hint: 'Choose one of: axe, studio.' }),
      );
    },
  );

  test.each(['staging', 'production', '', null, 0, ['dev']])(
    'environment %j is refused with those of the entity',
    wanted => {
      expect(() => takePlace(several, { entity: 'axe', environment: wanted })).toThrow(
        expect.objectContaining({ code: 'args/invalid', hint: 'Choose one of: prod, dev.' }),
      );
    },
  );

  test('the refusal does not repeat what was asked for', () => {
    for (const args of [{ entity: 'nordwind' }, { entity: 'axe', environment: 'nordwind' }]) {
      expect(() => takePlace(several, args)).toThrow(
        expect.objectContaining({ message: expect.not.stringContaining('nordwind') }),
      );
    }
  });

  test('the given arguments are left as they were', () => {
    const args = { entity: 'axe', table: 't' };
    takePlace(several, args);
    expect(args).toEqual({ entity: 'axe', table: 't' });
  });
});
