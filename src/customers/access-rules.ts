import type { AccessRule, Customer, Entity } from './customer.ts';
import { parseUsername, type Username } from './who.ts';

/**
 * Whom the access rules of a customer let in, and as what. Pure: facts in, verdict out. The tenant was decided before:
 * the facts come from a verified token of this customer's tenant.
 */
export interface Facts {
  username: string;
  objectId: string;
  /** `unknown` when there are too many for the token to list them (overage). */
  groups: readonly string[] | 'unknown';
  appRoles: readonly string[];
}

/** What is known of somebody without their token. */
export interface PartialFacts {
  username: string;
  objectId: string | 'unknown';
  groups: readonly string[] | 'unknown';
  appRoles: readonly string[] | 'unknown';
}

/** `refused` is for our log. */
export type Admission = { rule: AccessRule; role: string; entities: readonly Entity[] } | { refused: string };

export interface Judgement {
  rule: AccessRule;
  outcome: 'matched' | 'not-matched' | 'unknown';
  why: string;
}

/**
 * The first rule that matches decides. A rule about groups that the token does not list ends it: that rule might have
 * given less than a later one does, and "too many groups to name" must never read as "in none of them".
 */
export function admit(customer: Customer, facts: Facts): Admission {
  const stranger = whyStranger(customer, facts.username);
  if (stranger) return { refused: stranger };
  const name = parseUsername(facts.username);
  for (const rule of customer.access) {
    const { outcome, why } = judge(rule, facts, name);
    if (outcome === 'unknown') return { refused: `rule ${rule.number} (${rule.text}): ${why}` };
    if (outcome === 'matched') return { rule, role: rule.role, entities: entitiesOf(customer, rule) };
  }
  return { refused: `no access rule of ${customer.id} matches` };
}

/** The second lock: why the domain of a sign-in name keeps it out of this customer. Undefined when it does not. */
export function whyStranger(customer: Customer, username: string): string | undefined {
  const domain = parseUsername(username)?.domain;
  if (domain === undefined) return 'the sign-in name is not of the form name@domain';
  return customer.domains.includes(domain) ? undefined : `${domain} is not a domain of ${customer.id}`;
}

/** What becomes of every rule, top to bottom. */
export function explain(customer: Customer, facts: PartialFacts): Judgement[] {
  const name = parseUsername(facts.username);
  return customer.access.map(rule => ({ rule, ...judge(rule, facts, name) }));
}

export function entitiesOf(customer: Customer, { entities }: AccessRule): readonly Entity[] {
  return entities ? customer.entities.filter(({ id }) => entities.includes(id)) : customer.entities;
}

// Private

function judge({ who }: AccessRule, facts: PartialFacts, name: Username | undefined): Omit<Judgement, 'rule'> {
  switch (who.kind) {
    case 'person':
      return verdict(name?.username === who.username, 'is for another address');
    case 'domain':
      return verdict(name?.domain === who.domain, 'is for another domain');
    case 'object':
      if (facts.objectId === 'unknown') return { outcome: 'unknown', why: 'depends on the object id in the token' };
      return verdict(facts.objectId.toLowerCase() === who.objectId, 'is for another object id');
    case 'group':
      if (facts.groups === 'unknown') return { outcome: 'unknown', why: 'depends on the groups in the token' };
      return verdict(
        facts.groups.some(group => group.toLowerCase() === who.groupId),
        'is for a group they are not in',
      );
    case 'app-role':
      if (facts.appRoles === 'unknown') return { outcome: 'unknown', why: 'depends on the app roles in the token' };
      return verdict(facts.appRoles.includes(who.appRole), 'is for an app role they do not have');
  }
}

function verdict(isMatch: boolean, whyNot: string): Omit<Judgement, 'rule'> {
  return isMatch ? { outcome: 'matched', why: 'matches' } : { outcome: 'not-matched', why: whyNot };
}
