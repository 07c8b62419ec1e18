import type { Fetch } from '../access/key-set.ts';
import type { SigningKeys } from '../access/signing-keys.ts';
import type { AuditLog } from '../audit/audit.ts';
import type { GatewayConfig } from '../config/gateway-config.ts';
import type { Observe } from '../observe.ts';
import type { Keyring } from '../vault/keyring.ts';
import { createAddressLimit } from './address-limit.ts';
import type { Asked, Site } from './asked.ts';
import { createAuthorize } from './authorize.ts';
import { createCallback } from './callback.ts';
import type { Clients } from './clients.ts';
import { createConsent } from './consent.ts';
import { errorPage } from './error-page.ts';
import type { BrokerPools } from './gated-pools.ts';
import type { Grants } from './grants.ts';
import { createGuesses } from './guesses.ts';
import { authorizationServer } from './metadata.ts';
import { toOAuthError, toOAuthResponse } from './oauth-error.ts';
import { readerOf } from './page.ts';
import { createRecordStep } from './record.ts';
import { createSignIns } from './sign-ins.ts';

export type { Asked, Site };

/**
 * The gateway's own authorization server (OAuth 2.1): people sign in at their company's Entra, programs get tokens from us.
 * http/app.ts mounts it at the root of every origin that has customers who sign in this way. It reads no bodies, and what
 * a token may do is decided in access/.
 */
export interface Broker {
  metadata(site: Site): Record<string, unknown>;
  authorize(asked: Asked): Promise<Response>;
  consent(asked: Asked): Promise<Response>;
  callback(asked: Asked): Promise<Response>;
  token(asked: Asked): Promise<Response>;
  revoke(asked: Asked): Promise<Response>;
  register(asked: Registering): Promise<Response>;
  /** For what was thrown before any of these was reached, such as a body that is too long. */
  refuse(thrown: unknown): Response;
  /** Deletes what nobody will come back for. */
  sweep(): Promise<void>;
}

export interface Registering {
  body: unknown;
  /** The address of whoever asks. */
  from: string;
}

export interface BrokerParts {
  clients: Clients;
  grants: Grants;
  keyring: Keyring;
  /** Of the tenants: for ID tokens. */
  keys: SigningKeys;
  audit: Pick<AuditLog, 'append'>;
  pools: BrokerPools;
  fetch: Fetch;
  /** All of ours: no client may have its answer there. */
  ownOrigins(): readonly string[];
  /** Milliseconds since 1970. */
  now(): number;
  observe: Observe;
  limits: GatewayConfig['signIn'] & { leewaySeconds: number; guessesPerMinute?: number | undefined };
}

export function createBroker(parts: BrokerParts): Broker {
  const { clients, grants, keyring, pools, now, observe, limits } = parts;
  const { transactionMinutes } = limits;
  const signIns = createSignIns({ pools, now, transactionMinutes });
  const cookies = { keyring, maxAgeSeconds: transactionMinutes * 60 };
  const starts = createAddressLimit(limits.startsPerMinute, now);
  const guesses = createGuesses(now, limits.guessesPerMinute);
  const recordStep = createRecordStep(parts);

  return {
    metadata: ({ origin }) => authorizationServer(origin),
    authorize: page(createAuthorize({ ...parts, signIns, cookies, recordStep, starts, guesses })),
    consent: page(createConsent({ ...parts, signIns, cookies, guesses, recordStep })),
    callback: page(createCallback({ ...parts, signIns, guesses, recordStep })),
    token: answer(grants.token),
    revoke: answer(grants.revoke),
    register: answer(async ({ body, from }: Registering) => toCreated(await clients.register(body, from))),
    refuse,
    async sweep() {
      await signIns.sweep();
      await clients.sweep();
      await grants.sweep();
    },
  };

  /** For people: whatever happens is said on a page, in their language. */
  function page(handle: (asked: Asked) => Promise<Response>) {
    return async (asked: Asked): Promise<Response> => {
      try {
        return await handle(asked);
      } catch (thrown) {
        return apologize(asked, thrown);
      }
    };
  }

  async function apologize({ headers, requestId }: Asked, thrown: unknown): Promise<Response> {
    const reader = readerOf(headers);
    const { code, status, retryAfterSeconds } = toOAuthError(thrown);
    if (code !== 'temporarily_unavailable') {
      observe({ kind: 'crash-averted', where: 'sign-in', error: thrown });
      return errorPage(reader, 'failed', { requestId });
    }
    const response = await errorPage(reader, status === 429 ? 'too-many' : 'busy', { requestId });
    response.headers.set('Retry-After', String(retryAfterSeconds));
    return response;
  }

  /** For programs. */
  function answer<Request>(handle: (request: Request) => Promise<Response>) {
    return (request: Request) => handle(request).catch(refuse);
  }

  function refuse(thrown: unknown): Response {
    const error = toOAuthError(thrown);
    if (error.code === 'server_error') observe({ kind: 'crash-averted', where: 'sign-in', error: thrown });
    return toOAuthResponse(error);
  }
}

// Private

function toCreated(registration: Record<string, unknown>): Response {
  return Response.json(registration, { status: 201, headers: { 'Cache-Control': 'no-store' } });
}
