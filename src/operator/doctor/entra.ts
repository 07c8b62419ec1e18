import { z } from 'zod';
import { v2Issuer } from '../../access/issuers.ts';
import { type Fetch, fetchKeySet } from '../../access/key-set.ts';
import { readObject } from './documents.ts';
import { type Network, TIMEOUT_MS } from './network.ts';
import type { Path } from './path.ts';
import { broken, type Finding, ok, skipped, unclear } from './walk.ts';

/** The customer's tenant: is it the one of customers.yaml, and can its tokens be verified? */
export async function lookAtTenant({ network, customer: { id, entra } }: Path): Promise<Finding> {
  const issuer = v2Issuer(entra);
  const reply = await network.ask(`${issuer}/.well-known/openid-configuration`);
  const { authority, tenantId } = entra;
  if (numbersIn(reply.text).includes(90002)) {
    return broken(
      `${authority} knows no tenant ${tenantId} (AADSTS90002).`,
      `Correct entra.tenant_id of ${id} in customers.yaml (Entra admin centre, Overview), or entra.authority if it is a sovereign cloud.`,
    );
  }
  const document = readObject(reply);
  if (reply.status !== 200 || !document) {
    return broken(
      `${authority} answers ${reply.status} about the tenant, and no document.`,
      `See whether entra.authority of ${id} in customers.yaml is right; if it is, Entra has trouble: status.cloud.microsoft.`,
    );
  }
  if (document.issuer === issuer) return ok(`Its issuer is ${issuer}.`);
  return broken(
    `The tenant signs as ${JSON.stringify(document.issuer)}, and Frame takes only "${issuer}".`,
    `Correct entra.authority and entra.tenant_id of ${id} in customers.yaml: they make the issuer.`,
  );
}

export async function lookAtKeys({ network, customer: { entra } }: Path): Promise<Finding> {
  try {
    const keys = await fetchKeySet(entra, asFetch(network), TIMEOUT_MS);
    return ok(`${keys.size} RSA ${keys.size === 1 ? 'key verifies' : 'keys verify'} its tokens.`);
  } catch (failure) {
    const isNoKeyList = failure instanceof SyntaxError || failure instanceof z.ZodError;
    return broken(
      `No token of the tenant can be verified: ${isNoKeyList ? 'what comes is no list of keys' : messageOf(failure)}.`,
      'Entra, or something between, gives no usable keys: see status.cloud.microsoft, and any proxy of this network.',
    );
  }
}

/** Entra goes to a redirect URI that it knows even when it must refuse, and stays on a page of its own otherwise. */
export async function lookAtRedirect({ network, customer, origin }: Path): Promise<Finding> {
  const { entra, signIn } = customer;
  if (signIn === 'direct' || entra.clientId === undefined)
    return skipped('sign_in is direct: Frame has none at Entra.');
  const redirectUri = `${origin}/callback/entra`;
  const reply = await network.ask(silentSignIn(`${entra.authority}/${entra.tenantId}`, entra.clientId, redirectUri));
  const back = reply.all('location').find(location => location.startsWith(`${redirectUri}?`));
  if (back !== undefined) return ok(`Entra knows ${redirectUri}.`);
  const numbers = numbersIn(`${reply.text} ${reply.all('location').join(' ')}`);
  if (numbers.some(number => UNKNOWN_REDIRECT.includes(number))) {
    return broken(
      `Entra does not know the redirect URI ${redirectUri} (AADSTS${numbers[0]}).`,
      `Entra admin centre, App registrations, ${entra.clientId}, Authentication: add it, letter by letter, under Web.`,
    );
  }
  if (numbers.includes(700016)) {
    return broken(
      `The tenant has no application ${entra.clientId} (AADSTS700016).`,
      `Correct entra.client_id of ${customer.id} in customers.yaml, or have an administrator of the tenant consent to the application.`,
    );
  }
  const said = numbers.length > 0 ? `AADSTS${numbers.join(', AADSTS')}` : `status ${reply.status} without a number`;
  return unclear(`Entra says ${said}; whether it knows ${redirectUri} cannot be told from here.`);
}

// Private

/** No such address registered; none at all. */
const UNKNOWN_REDIRECT = [50011, 500113, 50011001];

/** Nobody is signed in here, so it can only be refused; what matters is where the refusal is shown. */
function silentSignIn(tenant: string, clientId: string, redirectUri: string): string {
  return `${tenant}/oauth2/v2.0/authorize?${new URLSearchParams({
    client_id: clientId,
    response_type: 'code',
    response_mode: 'query',
    redirect_uri: redirectUri,
    scope: 'openid profile',
    prompt: 'none',
    state: 'frame-doctor',
    nonce: 'frame-doctor',
    // Of nothing: no code will come of this.
    code_challenge: 'A'.repeat(43),
    code_challenge_method: 'S256',
  })}`;
}

function messageOf(failure: unknown): string {
  return failure instanceof Error ? failure.message : String(failure);
}

function numbersIn(text: string): number[] {
  return [...new Set([...text.matchAll(/AADSTS(\d{4,8})/g)].map(([, digits]) => Number(digits)))];
}

/** For the gateway's own way of reading keys. */
function asFetch(network: Network): Fetch {
  return async input => {
    const { status, text, all } = await network.ask(String(input));
    return new Response(text || null, { status, headers: { 'Content-Type': all('content-type')[0] ?? '' } });
  };
}
