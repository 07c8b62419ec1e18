import type { AddressLimit } from './address-limit.ts';
import { answerUrl, type ReturnAddress, redirect } from './answer-client.ts';
import { type Asked, resourceOf } from './asked.ts';
import { readAuthorizeRequest, single } from './authorize-request.ts';
import { type CookieMeans, holding, meetBrowser } from './browser.ts';
import type { Client } from './client.ts';
import type { Clients } from './clients.ts';
import { consentPage } from './consent-page.ts';
import { emailPage } from './email-page.ts';
import { errorPage, type Trouble } from './error-page.ts';
import type { Guesses } from './guesses.ts';
import { readerOf } from './page.ts';
import type { RecordStep } from './record.ts';
import { matchesRedirect } from './redirect-uri.ts';
import type { SignIns } from './sign-ins.ts';

/** GET and POST /authorize: a client sends a person. Until client and address belong together, nothing is sent back. */
export interface AuthorizeParts {
  clients: Pick<Clients, 'find'>;
  signIns: Pick<SignIns, 'begin'>;
  cookies: CookieMeans;
  ownOrigins(): readonly string[];
  /** How many sign-ins one address may begin. */
  starts: AddressLimit;
  guesses: Pick<Guesses, 'vouch'>;
  recordStep: RecordStep;
}

export function createAuthorize({
  clients,
  signIns,
  cookies,
  ownOrigins,
  starts,
  guesses,
  recordStep,
}: AuthorizeParts) {
  return async function authorize(asked: Asked): Promise<Response> {
    const { headers, parameters, site, requestId, from } = asked;
    const reader = readerOf(headers);

    const sender = await findSender(asked);
    if (typeof sender === 'string') return errorPage(reader, sender, { requestId });
    const request = readAuthorizeRequest(parameters, resourceOf(site));
    if ('error' in request) return redirect(answerUrl(sender, site.origin, request));
    if (starts.take(from) !== undefined) return redirect(answerUrl(sender, site.origin, TOO_MANY));

    const { client, redirectUri, state } = sender;
    const customer = site.customers.length === 1 ? site.customers[0] : undefined;
    const signIn = {
      customer: customer?.id,
      clientId: client.id,
      clientName: client.name,
      clientHost: client.host,
      redirectUri,
      state,
      codeChallenge: request.codeChallenge,
      resource: resourceOf(site),
      scopes: request.scopes,
      loginHint: undefined,
    };
    const { proofHash, pageCookie } = meetBrowser(headers, site.origin, cookies);
    const id = await signIns.begin(signIn, { proofHash, origin: site.origin });
    guesses.vouch(holding(id, { proofHash }));
    await recordStep(asked, { tool: 'sign_in.start', signIn });
    const parts = { id, signIn, cookie: pageCookie };
    return customer ? consentPage(reader, { ...parts, company: customer.name }) : emailPage(reader, parts);
  };

  async function findSender({ parameters, from }: Asked): Promise<Sender | Trouble> {
    const clientId = single(parameters, 'client_id');
    const redirectUri = single(parameters, 'redirect_uri');
    if (clientId === undefined || redirectUri === undefined) return 'request-broken';
    const client = await clients.find(clientId, from);
    if (client === 'unknown') return 'client-unknown';
    if (client === 'unreachable') return 'client-unreachable';
    if (!matchesRedirect(client, redirectUri, ownOrigins())) return 'redirect-wrong';
    return { client, redirectUri, state: single(parameters, 'state') };
  }
}

// Private

interface Sender extends ReturnAddress {
  client: Client;
}

const TOO_MANY = { error: 'temporarily_unavailable', description: 'Too many sign-ins begin just now.' };
