import { randomUUID } from 'node:crypto';
import { type Context, Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { cors } from 'hono/cors';
import {
  type AuthorizationRequest,
  type ReturnAddress,
  readAuthorizationRequest,
  readReturnAddress,
} from './authorization-request.ts';
import { EntraError } from './entra-error.ts';
import type { Codes } from './grants.ts';
import { errorPage, loginPage, type Page } from './login-page.ts';
import { keyDocument, openidConfiguration } from './openid-documents.ts';
import { Parameters } from './parameters.ts';
import { findPerson, type StandInTenant } from './tenant.ts';
import type { TenantKeys } from './tenant-keys.ts';
import { redeem } from './token-request.ts';

/** A tenant with its keys. */
export interface Home {
  tenant: StandInTenant;
  keys: TenantKeys;
}

export interface RoutesParts {
  homes: ReadonlyMap<string, Home>;
  codes: Codes;
  authority(): string;
  now(): number;
}

/** Every address of the stand-in. */
export function createRoutes({ homes, codes, authority, now }: RoutesParts): Hono {
  const homeOf = (c: Context<object, '/:tenant/*'>) => findHome(homes, c.req.param('tenant'));

  return new Hono()
    .use('/:tenant/v2.0/.well-known/*', cors())
    .use('/:tenant/.well-known/*', cors())
    .use('/:tenant/discovery/*', cors())
    .use('/:tenant/oauth2/v2.0/token', cors())
    .use(bodyLimit({ maxSize: 64 * 1024, onError: c => c.text('Too large.', 413) }))
    .get('/:tenant/v2.0/.well-known/openid-configuration', c =>
      c.json(openidConfiguration(authority(), homeOf(c).tenant.tenantId, 2)),
    )
    .get('/:tenant/.well-known/openid-configuration', c =>
      c.json(openidConfiguration(authority(), homeOf(c).tenant.tenantId, 1)),
    )
    .on('GET', ['/:tenant/discovery/v2.0/keys', '/:tenant/discovery/keys'], async c => {
      const { tenant, keys } = homeOf(c);
      return c.json(keyDocument(authority(), tenant.tenantId, await keys.published()));
    })
    .on(['GET', 'POST'], '/:tenant/oauth2/v2.0/authorize', async c => {
      const { tenant } = homeOf(c);
      const parameters = new Parameters(new URL(c.req.url).searchParams);
      const address = readReturnAddress(parameters, tenant);
      try {
        const request = readAuthorizationRequest(parameters, address, tenant);
        if (c.req.method === 'GET') return show(c, 200, await loginPage(tenant, address.client, request.loginHint));
        const code = codes.issue(await readChoice(c, tenant, address, request));
        return c.redirect(answerTo(address, { code, session_state: randomUUID() }));
      } catch (error) {
        if (!(error instanceof EntraError)) throw error;
        const { error: oauthError, error_description } = error.toBody(now());
        return c.redirect(answerTo(address, { error: oauthError, error_description }));
      }
    })
    .post('/:tenant/oauth2/v2.0/token', async c => {
      const request = {
        form: new URLSearchParams(await c.req.text()),
        authorization: c.req.header('authorization'),
        origin: c.req.header('origin'),
      };
      const body = await redeem(request, { ...homeOf(c), authority: authority(), codes, now });
      return c.json(body, 200, { 'cache-control': 'no-store', pragma: 'no-cache' });
    })
    .onError(async (error, c) => {
      if (!(error instanceof EntraError)) throw error;
      if (c.req.path.endsWith('/authorize')) return show(c, 400, await errorPage(error.message));
      return c.json(error.toBody(now()), error.status);
    });
}

// Private

function findHome(homes: ReadonlyMap<string, Home>, tenantId: string): Home {
  const home = homes.get(tenantId);
  if (home) return home;
  throw new EntraError(90002, `Tenant '${tenantId}' not found. Check to make sure you have the correct tenant ID.`);
}

/** Who was picked on the login page. Everything else of the request is in the address, and was checked again. */
async function readChoice(c: Context, tenant: StandInTenant, address: ReturnAddress, request: AuthorizationRequest) {
  const form = new URLSearchParams(await c.req.text());
  if (form.get('answer') === 'cancel') throw new EntraError(65004, 'User declined to consent to access the app.');
  const person = findPerson(tenant, form.get('person') ?? '');
  if (!person) throw new EntraError(50034, `The user account does not exist in the ${tenant.name} directory.`);
  const { client, platform, redirectUri } = address;
  const { scopes, challenge, nonce } = request;
  const { tenantId } = tenant;
  return {
    tenantId,
    objectId: person.objectId,
    clientId: client.clientId,
    platform,
    scopes,
    redirectUri,
    challenge,
    nonce,
  };
}

function answerTo({ redirectUri, state }: ReturnAddress, answer: Record<string, string>): string {
  const url = new URL(redirectUri);
  for (const [name, value] of Object.entries(answer)) url.searchParams.set(name, value);
  if (state !== undefined) url.searchParams.set('state', state);
  return url.href;
}

function show(c: Context, status: 200 | 400, { html, headers }: Page): Response {
  return c.html(html, status, headers);
}
