import { describe, expect, test } from 'vitest';
import { admit, explain, type Facts } from '../../src/customers/access-rules.ts';
import { changed, customerIn, TWO_CUSTOMERS } from './fixture.ts';

const axe = customerIn(TWO_CUSTOMERS);
const OID = '00000000-0000-4000-8000-000000000042';
const GROUP = '00000000-0000-4000-8000-000000000077';
const OTHER = '00000000-0000-4000-8000-0000000000ff';

function person(facts: Partial<Facts> = {}): Facts {
  return { username: 'anna@axellc.com', objectId: OTHER, groups: [], appRoles: [], ...facts };
}

/** `rule 2 dev axe`, or the reason. */
function verdictFor(facts: Partial<Facts>, customer = axe): string {
  const admission = admit(customer, person(facts));
  if ('refused' in admission) return admission.refused;
  return `rule ${admission.rule.number} ${admission.role} ${admission.entities.map(({ id }) => id).join('+')}`;
}

describe('the first match wins', () => {
  test.each<[string, Partial<Facts>, string]>([
    ['a person', { username: 'ai@axellc.com' }, 'rule 1 admin axe+studio'],
    ['a person in capitals', { username: 'AI@AXELLC.COM' }, 'rule 1 admin axe+studio'],
    ['an app role', { appRoles: ['Other', 'Frame.Developer'] }, 'rule 2 dev axe'],
    ['an object id', { objectId: OID }, 'rule 3 editor axe+studio'],
    ['a group', { groups: [OTHER, GROUP] }, 'rule 4 view axe+studio'],
    ['a group in capitals', { groups: [GROUP.toUpperCase()] }, 'rule 4 view axe+studio'],
    ['everybody else', {}, 'rule 5 view axe'],
    [
      'all at once',
      { username: 'ai@axellc.com', appRoles: ['Frame.Developer'], groups: [GROUP] },
      'rule 1 admin axe+studio',
    ],
    ['the upper of two', { appRoles: ['Frame.Developer'], groups: [GROUP] }, 'rule 2 dev axe'],
    ['an app role in capitals is another', { appRoles: ['FRAME.DEVELOPER'] }, 'rule 5 view axe'],
    [
      'a name that only begins alike',
      { username: 'ai@axellc.com.axe.example' },
      'axellc.com.axe.example is not a domain of axe',
    ],
    ['a group that is an object id', { groups: [OID] }, 'rule 5 view axe'],
  ])('%s', (_, facts, verdict) => {
    expect(verdictFor(facts)).toBe(verdict);
  });

  test('a domain without a rule of its own', () => {
    expect(verdictFor({ username: 'anna@axe.example' })).toBe('no access rule of axe matches');
  });
});

describe('the second lock', () => {
  test.each([
    ['another domain', 'ai@nordwind.example', 'nordwind.example is not a domain of axe'],
    ['a domain below', 'ai@mail.axellc.com', 'mail.axellc.com is not a domain of axe'],
    ['a guest', 'ai_axellc.com#EXT#@tenant.onmicrosoft.com', 'tenant.onmicrosoft.com is not a domain of axe'],
    ['no domain', 'ai', 'the sign-in name is not of the form name@domain'],
    ['nothing', '', 'the sign-in name is not of the form name@domain'],
    ['two domains', 'ai@axellc.com@axellc.com', 'the sign-in name is not of the form name@domain'],
    ['no name', '@axellc.com', 'the sign-in name is not of the form name@domain'],
    ['a blank', 'ai@axellc.com ', 'the sign-in name is not of the form name@domain'],
    ['the Kelvin sign', 'ai@\u212Axellc.com', 'the sign-in name is not of the form name@domain'],
  ])('%s is shut out before the rules are read', (_, username, reason) => {
    expect(verdictFor({ username, objectId: OID, appRoles: ['Frame.Developer'], groups: [GROUP] })).toBe(reason);
  });

  test('a star in the sign-in name is a name, not everybody', () => {
    expect(verdictFor({ username: '*@axellc.com' })).toBe('rule 5 view axe');
  });
});

describe('too many groups for the token to list', () => {
  test('a group rule ends it: a later rule might give more than that one would have', () => {
    const admission = admit(axe, person({ groups: 'unknown' }));
    expect(admission).toEqual({ refused: `rule 4 (group:${GROUP}): depends on the groups in the token` });
  });

  test('group rules below the deciding one do not matter', () => {
    expect(admit(axe, person({ username: 'ai@axellc.com', groups: 'unknown' }))).toMatchObject({ role: 'admin' });
  });
});

test('entities come in the order of the customer, not of the rule', () => {
  const customer = customerIn(changed('dev, entities: [axe]', 'dev, entities: [studio, axe]'));
  expect(verdictFor({ appRoles: ['Frame.Developer'] }, customer)).toBe('rule 2 dev axe+studio');
});

test('with only a name, it is told which rules depend on the token', () => {
  const judgements = explain(axe, {
    username: 'anna@axellc.com',
    objectId: 'unknown',
    groups: 'unknown',
    appRoles: 'unknown',
  });
  expect(judgements.map(({ outcome, why }) => [outcome, why])).toEqual([
    ['not-matched', 'is for another address'],
    ['unknown', 'depends on the app roles in the token'],
    ['unknown', 'depends on the object id in the token'],
    ['unknown', 'depends on the groups in the token'],
    ['matched', 'matches'],
  ]);
});
