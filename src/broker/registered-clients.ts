import { hash, randomBytes } from 'node:crypto';
import { toScopes } from '../access/scopes.ts';
import { createTokenMemory } from '../access/token-memory.ts';
import { createAddressLimit } from './address-limit.ts';
import type { Client } from './client.ts';
import { type ClientMetadata, type Registration, readRegistration } from './client-metadata.ts';
import type { ClientsTable } from './clients-table.ts';
import { OAuthError } from './oauth-error.ts';

/** Clients that introduced themselves at /register (RFC 7591). Anybody may: nobody vouches for what they say. */
export interface RegisteredClients {
  find(clientId: string): Promise<Client | 'unknown'>;
  /** See Clients. */
  isGone(clientId: string): Promise<boolean>;
  /** Those that were swept are not remembered. */
  forget(): void;
  /** Resolves to the answer, for status 201. Throws OAuthError; `from`: the address that the request came from. */
  register(body: unknown, from: string): Promise<Record<string, unknown>>;
}

export interface RegisteredClientsParts {
  table: ClientsTable;
  ownOrigins(): readonly string[];
  /** Milliseconds since 1970. */
  now(): number;
  registrationsPerMinute: number;
}

export function createRegisteredClients(parts: RegisteredClientsParts): RegisteredClients {
  const { table, ownOrigins, now } = parts;
  const limit = createAddressLimit(parts.registrationsPerMinute, now);
  const recent = new Map<string, Recent>();
  const known = createTokenMemory<ClientMetadata>(MAX_KNOWN, now);

  /** Claude registers twice each time it connects: the same again within a minute is the same client. */
  async function register(body: unknown, from: string): Promise<Record<string, unknown>> {
    const registration = readRegistration(body, ownOrigins());
    const key = hash('sha256', JSON.stringify([from, registration]));
    forgetOld();
    const before = recent.get(key);
    if (before) return before.answer;
    const waitSeconds = limit.take(from);
    if (waitSeconds !== undefined) throw tooMany(waitSeconds);
    const answer = add(registration);
    recent.set(key, { answer, at: now() });
    answer.catch(() => recent.delete(key));
    return answer;
  }

  function forgetOld(): void {
    for (const [key, { at }] of recent) {
      if (Math.abs(now() - at) < SAME_MS) return;
      recent.delete(key);
    }
  }

  async function add(registration: Registration): Promise<Record<string, unknown>> {
    const clientId = `${PREFIX}${randomBytes(24).toString('base64url')}`;
    const issuedAt = now();
    await table.addRegistered(clientId, registration, issuedAt);
    return toAnswer(clientId, registration, issuedAt);
  }

  /** Who is there costs no question for a while: ids are no secret, so anybody can name one as often as they like. */
  async function read(clientId: string): Promise<ClientMetadata | undefined> {
    const before = known.recall(clientId);
    if (before) return before;
    const metadata = await table.readRegistered(clientId);
    if (metadata) known.remember(clientId, metadata, now() + KNOWN_MS);
    return metadata;
  }

  return {
    register,
    async find(clientId) {
      const metadata = CLIENT_ID.test(clientId) ? await read(clientId) : undefined;
      return metadata ? { id: clientId, ...metadata, kind: 'registered', host: undefined } : 'unknown';
    },
    isGone: async clientId => CLIENT_ID.test(clientId) && (await read(clientId)) === undefined,
    forget: () => known.forget(() => true),
  };
}

// Private

interface Recent {
  answer: Promise<Record<string, unknown>>;
  at: number;
}

const SAME_MS = 60_000;
const KNOWN_MS = 60_000;
const MAX_KNOWN = 1000;
// Letters that a Basic header carries as they are, encoded or not (RFC 6749 §2.3.1 and those who skip it).
const PREFIX = 'fc_';
const CLIENT_ID = /^fc_[\w-]{32}$/;

/** RFC 7591 §3.2.1 lets us replace what was asked: whatever it was, the client is public and has no secret. */
function toAnswer(clientId: string, { name, redirectUris, scope }: Registration, issuedAtMs: number) {
  return {
    client_id: clientId,
    client_id_issued_at: Math.floor(issuedAtMs / 1000),
    client_name: name,
    redirect_uris: redirectUris,
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'none',
    ...(scope !== undefined && { scope: toScopes(scope).join(' ') }),
  };
}

function tooMany(retryAfterSeconds: number): OAuthError {
  return new OAuthError('temporarily_unavailable', 'Too many clients were registered from this address.', {
    status: 429,
    retryAfterSeconds,
  });
}
