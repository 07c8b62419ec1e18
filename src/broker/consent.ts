import { mayWrite, WRITE_SCOPE } from '../access/scopes.ts';
import type { Customer } from '../customers/customer.ts';
import { parseUsername } from '../customers/who.ts';
import type { Keyring } from '../vault/keyring.ts';
import { answerUrl, redirect } from './answer-client.ts';
import { type Asked, callbackOf, customerOf } from './asked.ts';
import { single } from './authorize-request.ts';
import { type Browser, type CookieMeans, holding, knownBrowser } from './browser.ts';
import { consentPage } from './consent-page.ts';
import { emailPage } from './email-page.ts';
import { upstreamUrl } from './entra-upstream.ts';
import { errorPage, type Trouble } from './error-page.ts';
import type { Guesses } from './guesses.ts';
import { readerOf } from './page.ts';
import type { RecordStep } from './record.ts';
import type { Holder, SignIns } from './sign-ins.ts';
import { challengeOf, newTrip, sealTrip } from './trip.ts';
import { openWayBack } from './way-back.ts';

/** POST /consent: what the person answers on our pages. Only a page of ours, in the browser that it was shown in, may. */
export interface ConsentParts {
  signIns: Pick<SignIns, 'find' | 'choose' | 'agree' | 'drop'>;
  cookies: CookieMeans;
  keyring: Keyring;
  /** Sign-ins that never began. */
  guesses: Guesses;
  recordStep: RecordStep;
  /** Milliseconds since 1970. */
  now(): number;
}

export function createConsent({ signIns, cookies, keyring, guesses, recordStep, now }: ConsentParts) {
  return async function consent(asked: Asked): Promise<Response> {
    const { headers, parameters, site, from } = asked;
    if (!isFromOurPage(headers, site.origin)) return refuse(asked, 'form-foreign');
    const sealed = single(parameters, 'back');
    if (sealed) return goBack(asked, sealed);

    const browser = knownBrowser(headers, site.origin, cookies);
    const id = single(parameters, 'sign_in');
    if (!browser || !id) return refuse(asked, 'sign-in-over');
    return guesses.look(holding(id, browser), from, () => decide(asked, id, browser), isRefusal);
  };

  async function decide(asked: Asked, id: string, browser: Browser): Promise<Response> {
    switch (single(asked.parameters, 'answer')) {
      case 'email':
        return chooseCompany(asked, id, browser);
      case 'allow':
        return agree(asked, id, browser);
      case 'cancel':
        return cancel(asked, id, browser);
      default:
        return refuse(asked, 'request-broken');
    }
  }

  async function chooseCompany(asked: Asked, id: string, browser: Browser): Promise<Response> {
    const { headers, parameters, site } = asked;
    const reader = readerOf(headers);
    const holder = holderOf(asked, browser);
    const cookie = browser.pageCookie;
    const email = parameters.get('email')?.trim() ?? '';
    const customer = customerByEmail(site.customers, email);
    if (!customer) {
      const signIn = await signIns.find(id, holder);
      return signIn ? emailPage(reader, { id, signIn, unknown: email, cookie }) : refuse(asked, 'sign-in-over');
    }
    const signIn = await signIns.choose(id, holder, customer.id, email);
    if (!signIn) return refuse(asked, 'sign-in-over');
    await recordStep(asked, { tool: 'sign_in.start', signIn });
    return consentPage(reader, { id, signIn, company: customer.name, cookie });
  }

  /** Again is fine: after a double click, or the back button at Entra, the browser follows the last answer. */
  async function agree(asked: Asked, id: string, browser: Browser): Promise<Response> {
    const { parameters, site } = asked;
    const holder = holderOf(asked, browser);
    const signIn = await signIns.find(id, holder);
    const customer = customerOf(site, signIn?.customer);
    if (!signIn || !customer) return refuse(asked, 'sign-in-over');
    const scopes = chooseScopes(signIn.scopes, single(parameters, 'access'));
    if (!scopes) return refuse(asked, 'request-broken');

    const trip = newTrip();
    const agreement = { scopes, upstreamState: trip.state, upstream: sealTrip(keyring, trip) };
    if (!(await signIns.agree(id, holder, agreement))) return refuse(asked, 'sign-in-over');
    guesses.vouch(trip.state);
    await recordStep(asked, { tool: 'sign_in.consent', signIn, scopes });
    const { state, nonce } = trip;
    const leaving = { state, nonce, codeChallenge: challengeOf(trip), redirectUri: callbackOf(site) };
    return redirect(upstreamUrl(customer, { ...leaving, loginHint: signIn.loginHint }), browser.proofCookie);
  }

  async function cancel(asked: Asked, id: string, browser: Browser): Promise<Response> {
    const signIn = await signIns.drop(id, holderOf(asked, browser));
    if (!signIn) return refuse(asked, 'sign-in-over');
    await recordStep(asked, { tool: 'sign_in.refused', signIn, reason: 'cancelled' });
    return redirect(answerUrl(signIn, asked.site.origin, CANCELLED));
  }

  function goBack(asked: Asked, sealed: string): Response | Promise<Response> {
    const url = openWayBack(keyring, asked.site.origin, sealed, now());
    return url ? redirect(url) : refuse(asked, 'sign-in-over');
  }
}

// Private

const CANCELLED = { error: 'access_denied', description: 'The person cancelled.' };

/**
 * Browsers send `Origin: null` from pages without a referrer, as ours are, so it is the Fetch Metadata that tell. What has
 * neither is no browser of today.
 */
function isFromOurPage(headers: Headers, origin: string): boolean {
  const sent = headers.get('origin') ?? 'null';
  return sent === origin || (sent === 'null' && headers.get('sec-fetch-site') === 'same-origin');
}

function isRefusal({ status }: Response): boolean {
  return status === 400;
}

function holderOf({ site }: Asked, { proofHash }: Browser): Holder {
  return { proofHash, origin: site.origin };
}

function customerByEmail(customers: readonly Customer[], email: string): Customer | undefined {
  const domain = parseUsername(email)?.domain;
  return customers.find(({ domains }) => domain !== undefined && domains.includes(domain));
}

/** No more than was asked for, whatever the form says. */
function chooseScopes(asked: readonly string[], access: string | undefined): readonly string[] | undefined {
  if (access === 'write' && mayWrite(asked)) return asked;
  return access === 'read' ? asked.filter(scope => scope !== WRITE_SCOPE) : undefined;
}

function refuse({ headers, requestId }: Asked, trouble: Trouble): Promise<Response> {
  return errorPage(readerOf(headers), trouble, { requestId });
}
