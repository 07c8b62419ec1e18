import type { VerifiedToken } from '../access/entra.ts';
import type { Fetch } from '../access/key-set.ts';
import type { SigningKeys } from '../access/signing-keys.ts';
import { admit } from '../customers/access-rules.ts';
import type { Customer } from '../customers/customer.ts';
import type { Keyring } from '../vault/keyring.ts';
import { answerUrl, type ClientAnswer, redirect } from './answer-client.ts';
import { type Asked, callbackOf, customerOf } from './asked.ts';
import { single } from './authorize-request.ts';
import { proofOf } from './browser.ts';
import type { Clients } from './clients.ts';
import { identify } from './entra-upstream.ts';
import { errorPage } from './error-page.ts';
import type { Grants } from './grants.ts';
import type { Guesses } from './guesses.ts';
import { readerOf } from './page.ts';
import type { RecordStep } from './record.ts';
import type { Returned, SignIns } from './sign-ins.ts';
import { openTrip } from './trip.ts';
import { sealWayBack } from './way-back.ts';

/** GET /callback/entra: somebody comes back from Entra. Whether it is who left, and whether they get in, is decided here. */
export interface CallbackParts {
  signIns: Pick<SignIns, 'take'>;
  grants: Pick<Grants, 'issueCode'>;
  clients: Pick<Clients, 'touch'>;
  /** States that we never gave to anybody. */
  guesses: Guesses;
  keyring: Keyring;
  keys: SigningKeys;
  fetch: Fetch;
  recordStep: RecordStep;
  /** Milliseconds since 1970. */
  now(): number;
  limits: { leewaySeconds: number; upstreamTimeoutSeconds: number };
}

export function createCallback(parts: CallbackParts) {
  const { signIns, grants, clients, guesses, keyring, keys, fetch, recordStep, now, limits } = parts;

  return async function callback(asked: Asked): Promise<Response> {
    const returned = await takeReturned(asked);
    if (!returned) return errorPage(readerOf(asked.headers), 'sign-in-over', { requestId: asked.requestId });
    const { signIn, customer, trip } = returned;

    const code = single(asked.parameters, 'code');
    if (!code) return endWithoutCode(asked, signIn);
    const redemption = { ...trip, code, redirectUri: callbackOf(asked.site) };
    const person = await identify(customer, redemption, {
      keys,
      fetch,
      nowMs: now(),
      leewaySeconds: limits.leewaySeconds,
      timeoutMs: limits.upstreamTimeoutSeconds * 1000,
    });
    if ('refused' in person) {
      await recordStep(asked, { tool: 'sign_in.refused', signIn, reason: person.refused, detail: person.detail });
      return answer(asked, signIn, UPSTREAM_FAILED);
    }
    // Also for somebody who is to be admitted yet: they come back with the same registration.
    clients.touch(signIn.clientId);
    const why = whyNotAdmitted(customer, person);
    return why === undefined ? finish(asked, signIn, person) : turnAway(asked, signIn, customer, person, why);
  };

  /** Whoever brings the state ends the sign-in; only the browser that agreed goes on with it. */
  async function takeReturned(asked: Asked) {
    const { headers, parameters, site, from } = asked;
    const state = single(parameters, 'state');
    const signIn =
      state &&
      (await guesses.look(
        state,
        from,
        () => signIns.take(state),
        found => !found,
      ));
    if (!state || !signIn) return undefined;
    const customer = customerOf(site, signIn.customer);
    const trip = openTrip(keyring, state, signIn.upstream);
    const reason = whyOver(signIn, { proofHash: proofOf(headers, site.origin), origin: site.origin, nowMs: now() });
    if (customer && trip && !reason) return { signIn, customer, trip };
    await recordStep(asked, { tool: 'sign_in.refused', signIn, reason: reason ?? 'customer-gone' });
    return undefined;
  }

  async function endWithoutCode(asked: Asked, signIn: Returned): Promise<Response> {
    const error = single(asked.parameters, 'error') ?? '';
    const isCancelled = error === 'access_denied';
    // Anybody may have written it: only what Entra is known to say gets into our log.
    const detail = /^[a-z_]{1,40}$/.test(error) ? error : undefined;
    const reason = isCancelled ? 'cancelled' : 'upstream-failed';
    await recordStep(asked, { tool: 'sign_in.refused', signIn, reason, detail });
    return answer(asked, signIn, isCancelled ? CANCELLED : UPSTREAM_FAILED);
  }

  async function finish(asked: Asked, signIn: Returned, person: VerifiedToken): Promise<Response> {
    const { customer = '', clientId, clientName, clientHost, redirectUri, codeChallenge, resource } = signIn;
    const scopes = signIn.agreedScopes;
    const code = await grants.issueCode({
      customer,
      person,
      client: { id: clientId, name: clientName, host: clientHost },
      redirectUri,
      codeChallenge,
      resource,
      scopes,
    });
    await recordStep(asked, { tool: 'sign_in.done', signIn, person: toPerson(person), scopes });
    return answer(asked, signIn, { code });
  }

  /** The person reads why, and then takes the answer to the client themselves. */
  async function turnAway(
    asked: Asked,
    signIn: Returned,
    customer: Customer,
    person: VerifiedToken,
    detail: string,
  ): Promise<Response> {
    const { headers, site, requestId } = asked;
    await recordStep(asked, {
      tool: 'sign_in.refused',
      signIn,
      person: toPerson(person),
      reason: 'not-admitted',
      detail,
    });
    const url = answerUrl(signIn, site.origin, NOT_ADMITTED);
    const sealed = sealWayBack(keyring, site.origin, { url, expiresAt: signIn.expiresAt });
    return errorPage(readerOf(headers), 'not-admitted', {
      requestId,
      values: { username: person.username || person.name, company: customer.name },
      back: { client: signIn.clientName, sealed },
    });
  }
}

// Private

const CANCELLED = { error: 'access_denied', description: 'The person cancelled.' };
const NOT_ADMITTED = { error: 'access_denied', description: 'The person has no access.' };
const UPSTREAM_FAILED = { error: 'server_error', description: 'The sign-in at Microsoft Entra failed.' };

interface Comer {
  proofHash: string | undefined;
  origin: string;
  nowMs: number;
}

function whyOver(signIn: Returned, { proofHash, origin, nowMs }: Comer): string | undefined {
  if (proofHash !== signIn.proofHash) return 'other-browser';
  if (origin !== signIn.origin) return 'other-origin';
  return signIn.expiresAt <= nowMs ? 'expired' : undefined;
}

function whyNotAdmitted(customer: Customer, person: VerifiedToken): string | undefined {
  if (person.isGuest && !customer.entra.guests) return 'guest';
  const admission = admit(customer, person);
  return 'refused' in admission ? admission.refused : undefined;
}

function toPerson({ tenantId, objectId, name, username }: VerifiedToken) {
  return { tenantId, objectId, name, username };
}

function answer({ site }: Asked, signIn: Returned, what: ClientAnswer): Response {
  return redirect(answerUrl(signIn, site.origin, what));
}
