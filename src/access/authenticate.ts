import { admit } from '../customers/access-rules.ts';
import type { Customer } from '../customers/customer.ts';
import type { FrameError } from '../errors.ts';
import type { Observe } from '../observe.ts';
import type { Caller, Person } from './caller.ts';
import { readCredential } from './credentials.ts';
import { type VerifiedToken, verifyToken } from './entra.ts';
import { versionOfIssuer } from './issuers.ts';
import type { Fetch } from './key-set.ts';
import { errorOf, type Refusal } from './refusal.ts';
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
}

export interface AccessRequest {
  headers: Headers;
  url: URL;
  requestId: string;
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
  limits: AccessLimits;
  /** Records that a known member of a customer was not admitted; the answer waits for it. */
  onTurnedAway(customer: Customer, person: Person, error: FrameError, requestId: string): Promise<void>;
}

export function createAccess({ fetch, now, observe, roles, limits, onTurnedAway }: AccessParts): Access {
  const keys = createSigningKeys({ fetch, now, observe, limits });
  const memory = createTokenMemory<Member>(limits.rememberTokens, now);

  return {
    async authenticate(request, customers) {
      const verdict = await judge(request, customers);
      if (!('refused' in verdict)) return verdict;
      const error = errorOf(verdict, limits.keysCooldownSeconds);
      observe({ kind: 'access-refused', requestId: request.requestId, reason: error.detail ?? verdict.refused });
      const { stranger } = verdict;
      if (stranger) await onTurnedAway(stranger.customer, toPerson(stranger.token), error, request.requestId);
      throw error;
    },
  };

  async function judge({ headers, url }: AccessRequest, customers: readonly Customer[]): Promise<Caller | Verdict> {
    const credential = readCredential(headers, url);
    if ('refused' in credential) return credential;
    const member = recall(credential.token, customers) ?? (await identify(credential.token, customers));
    if ('refused' in member) return member;
    const caller = toCaller(member);
    return 'refused' in caller ? { ...caller, stranger: member } : caller;
  }

  /** A reload makes new customers and a fetch makes new keys: whatever was found with the old ones no longer counts. */
  function recall(text: string, customers: readonly Customer[]): Member | undefined {
    const member = memory.recall(text);
    if (!member || !customers.includes(member.customer)) return undefined;
    const { keyId, key } = member.token;
    return keys.known(member.customer.entra, keyId) === key ? member : undefined;
  }

  async function identify(text: string, customers: readonly Customer[]): Promise<Member | Refusal> {
    const unverified = readToken(text);
    if ('refused' in unverified) return unverified;
    const { issuer } = unverified;
    const customer = customers.find(({ entra }) => typeof issuer === 'string' && versionOfIssuer(entra, issuer));
    if (!customer) return { refused: 'wrong-issuer' };
    const nowMs = now();
    const token = await verifyToken(unverified, customer.entra, { keys, nowMs, leewaySeconds: limits.leewaySeconds });
    if ('refused' in token) return token;
    const member = { customer, token };
    memory.remember(text, member, Math.min(token.expiresAt, nowMs + limits.rememberSeconds * 1000));
    return member;
  }

  function toCaller({ customer, token }: Member): Caller | Refusal {
    if (token.isGuest && !customer.entra.guests) return { refused: 'guest' };
    const admission = admit(customer, token);
    if ('refused' in admission) return { refused: 'no-access-rule', detail: admission.refused };
    const tools = roles.get(admission.role);
    if (!tools) return { refused: 'role-unknown', detail: admission.role };
    return {
      customer,
      person: toPerson(token),
      role: admission.role,
      tools,
      entities: admission.entities,
      scopes: token.scopes,
      rule: admission.rule.text,
    };
  }
}

// Private

/** Somebody known to be of a customer's tenant; whether they get in is decided anew on every call. */
interface Member {
  customer: Customer;
  token: VerifiedToken;
}

/** A refusal of somebody whose token is good. */
interface Verdict extends Refusal {
  stranger?: Member;
}

function toPerson({ tenantId, objectId, name, username }: VerifiedToken): Person {
  return { tenantId, objectId, name, username };
}
