import { rightsOf } from '../config/roles.ts';
import { admit } from '../customers/access-rules.ts';
import type { Customer } from '../customers/customer.ts';
import type { FrameError } from '../errors.ts';
import type { Observe } from '../observe.ts';
import type { AccessTokens, TokenSite } from './access-token.ts';
import type { ApiKeys, KeyFinding } from './api-keys.ts';
import { type Caller, NO_TENANT, type Person } from './caller.ts';
import { isKeyIn, readCredentials } from './credentials.ts';
import { type VerifiedToken, verifyToken } from './entra.ts';
import { versionOfIssuer } from './issuers.ts';
import type { Fetch } from './key-set.ts';
import { createLocalLimit } from './local-limit.ts';
import { errorOf, type Refusal } from './refusal.ts';
import { type ToolKind, withinScopes } from './rights.ts';
import { mayRead } from './scopes.ts';
import type { SignedInPerson } from './session.ts';
import { createSigningKeys, type SigningKeysLimits } from './signing-keys.ts';
import { createTokenMemory } from './token-memory.ts';
import { readToken } from './unverified-token.ts';

/** Authorization header → Caller. It knows nothing of tools and places, and answers no HTTP. */
export interface Access {
  /**
   * Who is asking, as a member of one of `customers`: those served at the Host of the request. Throws a FrameError
   * `access/…`, or `unavailable` when tokens cannot be checked now.
   */
  authenticate(request: AccessRequest, customers: readonly Customer[]): Promise<Caller>;
  /** Throws `access/credential-in-url` for an address with a key in it, and that key is nobody's any more. */
  refuseExposedKey(request: Pick<AccessRequest, 'url' | 'requestId' | 'from'>): Promise<void>;
}

export interface AccessRequest {
  headers: Headers;
  url: URL;
  /** Of ours, as configured, where the request arrived. */
  origin: string;
  requestId: string;
  /** The visitor's address. */
  from: string;
}

export interface AccessLimits extends SigningKeysLimits {
  /** How far our clock and Entra's may differ. */
  leewaySeconds: number;
  /** A verified token is not verified again for this long. */
  rememberSeconds: number;
  rememberTokens: number;
}

export interface AccessParts {
  fetch: Fetch;
  /** Milliseconds since 1970. */
  now(): number;
  observe: Observe;
  /** Role → tools, as of config/roles.yaml. */
  roles: ReadonlyMap<string, ReadonlySet<string>>;
  /** Every tool there is. */
  tools: readonly ToolKind[];
  /** Those that we gave out ourselves. */
  accessTokens: Pick<AccessTokens, 'find'>;
  apiKeys: Pick<ApiKeys, 'find' | 'revokeExposed'>;
  limits: AccessLimits;
  /** Records that a known member of a customer was not admitted, 60 times a minute at most; the answer waits for it. */
  onTurnedAway(customer: Customer, person: Person, error: FrameError, requestId: string): Promise<void>;
}

export function createAccess(parts: AccessParts): Access {
  const { fetch, now, observe, roles, tools, accessTokens, apiKeys, limits, onTurnedAway } = parts;
  const keys = createSigningKeys({ fetch, now, observe, limits });
  const memory = createTokenMemory<Verified>(limits.rememberTokens, now);
  const strangers = createLocalLimit(TURNED_AWAY_PER_MINUTE, now);

  return {
    async authenticate(request, customers) {
      const verdict = await judge(request, customers);
      if (!('refused' in verdict)) return verdict;
      const error = refuse(verdict, request.requestId);
      const { stranger } = verdict;
      if (stranger && isRecorded(stranger.person)) {
        await onTurnedAway(stranger.customer, toPerson(stranger.person), error, request.requestId);
      }
      throw error;
    },
    async refuseExposedKey({ url, requestId, from }) {
      if (!isKeyIn(url)) return;
      await apiKeys.revokeExposed(url, from);
      throw refuse({ refused: 'credential-in-url', detail: 'a key' }, requestId);
    },
  };

  function refuse(refusal: Refusal, requestId: string): FrameError {
    const error = errorOf(refusal, limits.keysCooldownSeconds);
    observe({ kind: 'access-refused', requestId, reason: error.detail ?? refusal.refused });
    return error;
  }

  /** Beyond what a person does, every record would say the same and cost as much as a call. */
  function isRecorded({ tenantId, objectId }: SignedInPerson): boolean {
    return strangers.take(`${tenantId}/${objectId}`) === undefined;
  }

  async function judge(
    { headers, url, origin, from }: AccessRequest,
    customers: readonly Customer[],
  ): Promise<Caller | Verdict> {
    const sent = readCredentials(headers, url);
    if ('refused' in sent) return sent;
    const key = sent.apiKey === undefined ? undefined : await apiKeys.find(sent.apiKey, { customers, from });
    if (key && 'refused' in key) return key;
    if (sent.token === undefined) return key ? keyToCaller(key) : { refused: 'credential-missing' };
    const member = await identify(sent.token, { origin, customers, from });
    if ('refused' in member) return member;
    const caller = toCaller(member);
    if ('refused' in caller) return { ...caller, stranger: member };
    if (!key) return caller;
    const both = withinKey(caller, key);
    return 'refused' in both ? { ...both, stranger: member } : both;
  }

  function keyToCaller({ key, customer, entity }: KeyFinding): Caller | Refusal {
    const { id, name, role } = key;
    const granted = roles.get(role);
    if (!granted) return { refused: 'role-unknown', detail: `${role}, of key ${id}` };
    return {
      customer,
      person: { tenantId: NO_TENANT, objectId: id, name, username: `key:${name}` },
      key: { id, name, role },
      role,
      tools: granted,
      rights: rightsOf(granted),
      entities: [entity],
      scopes: [],
      rule: `key ${id}`,
    };
  }

  /** A person who lets an agent work for them: what both of them may, and only that. */
  function withinKey(caller: Caller, found: KeyFinding): Caller | Refusal {
    const { key, customer, entity } = found;
    if (customer.id !== caller.customer.id)
      return { refused: 'api-key-unknown', detail: `${key.id}: of another customer` };
    if (!caller.entities.some(({ id, environments }) => id === entity.id && environments.includes(key.environment))) {
      return { refused: 'no-access-rule', detail: `not for ${entity.id}, which key ${key.id} is for` };
    }
    const alone = keyToCaller(found);
    if ('refused' in alone) return alone;
    const { withheldTools } = caller;
    return {
      ...caller,
      key: alone.key,
      tools: common(caller.tools, alone.tools),
      // What the key lacks, no scope would bring.
      ...(withheldTools && { withheldTools: common(withheldTools, alone.tools) }),
      rights: caller.rights?.intersection(alone.rights ?? new Set()),
      entities: alone.entities,
    };
  }

  /** The customers decide whose tokens count, never the token: at an origin of broker customers, Entra's are bad. */
  async function identify(text: string, { origin, customers, from }: TokenSite): Promise<Member | Refusal> {
    const brokered = customers.filter(({ signIn }) => signIn === 'broker');
    const direct = customers.filter(({ signIn }) => signIn === 'direct');
    if (brokered.length === 0 || !text.startsWith('frame_')) return identifyByEntra(text, direct);
    const member = await accessTokens.find(text, { origin, customers: brokered, from });
    return 'refused' in member || mayRead(member.scopes) ? member : { refused: 'scope-missing' };
  }

  async function identifyByEntra(text: string, customers: readonly Customer[]): Promise<Member | Refusal> {
    const verified = recall(text, customers) ?? (await verify(text, customers));
    if ('refused' in verified) return verified;
    const { customer, token } = verified;
    return { customer, person: token, scopes: token.scopes };
  }

  /** A reload makes new customers and a fetch makes new keys: whatever was found with the old ones no longer counts. */
  function recall(text: string, customers: readonly Customer[]): Verified | undefined {
    const verified = memory.recall(text);
    if (!verified || !customers.includes(verified.customer)) return undefined;
    const { keyId, key } = verified.token;
    return keys.known(verified.customer.entra, keyId) === key ? verified : undefined;
  }

  async function verify(text: string, customers: readonly Customer[]): Promise<Verified | Refusal> {
    const unverified = readToken(text);
    if ('refused' in unverified) return unverified;
    const { issuer } = unverified;
    const customer = customers.find(({ entra }) => typeof issuer === 'string' && versionOfIssuer(entra, issuer));
    if (!customer) return { refused: 'wrong-issuer' };
    const nowMs = now();
    const token = await verifyToken(unverified, customer.entra, { keys, nowMs, leewaySeconds: limits.leewaySeconds });
    if ('refused' in token) return token;
    const verified = { customer, token };
    memory.remember(text, verified, Math.min(token.expiresAt, nowMs + limits.rememberSeconds * 1000));
    return verified;
  }

  function toCaller({ customer, person, scopes, clientName }: Member): Caller | Refusal {
    if (person.isGuest && !customer.entra.guests) return { refused: 'guest' };
    const admission = admit(customer, person);
    if ('refused' in admission) return { refused: 'no-access-rule', detail: admission.refused };
    const granted = roles.get(admission.role);
    if (!granted) return { refused: 'role-unknown', detail: admission.role };
    return {
      customer,
      person: toPerson(person),
      role: admission.role,
      // Scopes of Entra say that Frame may be used, not what for.
      ...(customer.signIn === 'broker' ? withinScopes(granted, scopes, tools) : { tools: granted }),
      rights: rightsOf(granted),
      entities: admission.entities,
      scopes,
      client: clientName,
      rule: admission.rule.text,
    };
  }
}

// Private

const TURNED_AWAY_PER_MINUTE = 60;

/** `*` is every tool. */
function common(some: ReadonlySet<string>, others: ReadonlySet<string>): ReadonlySet<string> {
  if (some.has('*')) return others;
  return others.has('*') ? some : some.intersection(others);
}

/** Somebody known to be of a customer's tenant; whether they get in is decided anew on every call. */
interface Member {
  customer: Customer;
  person: SignedInPerson;
  scopes: readonly string[];
  clientName?: string;
}

interface Verified {
  customer: Customer;
  token: VerifiedToken;
}

/** A refusal of somebody whose token is good. */
interface Verdict extends Refusal {
  stranger?: Member;
}

function toPerson({ tenantId, objectId, name, username }: SignedInPerson): Person {
  return { tenantId, objectId, name, username };
}
