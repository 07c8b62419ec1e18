import { z } from 'zod';
import { OAuthError } from './oauth-error.ts';
import { isAllowedRedirect } from './redirect-uri.ts';

/** What a client says of itself, at /register (RFC 7591) or in a document at its own address. */
export interface ClientMetadata {
  name: string;
  redirectUris: readonly string[];
}

export interface Registration extends ClientMetadata {
  scope: string | undefined;
}

/**
 * What we do not know or do not offer is ignored: Claude asks for a secret, VS Code for other grants. Throws OAuthError,
 * `invalid_redirect_uri` or `invalid_client_metadata`.
 */
export function readRegistration(body: unknown, ownOrigins: readonly string[]): Registration {
  const { data, error } = Asked.safeParse(body);
  if (!data) {
    const field = error.issues[0]?.path[0];
    if (field === 'redirect_uris') throw invalidRedirect('redirect_uris must be a list of 1 to 10 addresses.');
    const what = field === undefined ? 'The body must be a JSON object.' : `${String(field)} must be text.`;
    throw new OAuthError('invalid_client_metadata', what);
  }
  const at = data.redirect_uris.findIndex(uri => !isAllowedRedirect(uri, ownOrigins));
  if (at !== -1) throw invalidRedirect(`redirect_uris[${at}] must be https, or http to 127.0.0.1, [::1] or localhost.`);
  return { name: clean(data.client_name ?? '') || UNNAMED, redirectUris: data.redirect_uris, scope: data.scope };
}

/** A string says why the document at `clientId` is none. */
export function readDocument(text: string, clientId: string, ownOrigins: readonly string[]): ClientMetadata | string {
  const { data, error } = Document.safeParse(parse(text));
  if (!data) return `it is wrong at ${error.issues[0]?.path.join('.') || 'its root'}`;
  if (data.client_id !== clientId) return 'its client_id is not its own address';
  if (!data.redirect_uris.every(uri => isAllowedRedirect(uri, ownOrigins))) return 'it has a forbidden redirect_uri';
  const name = clean(data.client_name);
  return name === '' ? 'its client_name is empty' : { name, redirectUris: data.redirect_uris };
}

// Private

const redirectUris = z.array(z.string()).min(1).max(10);

const Asked = z.object({
  redirect_uris: redirectUris,
  client_name: z.string().nullish(),
  scope: z.string().optional().catch(undefined),
});

/** Draft §4.1: no secret shared with us. Who prefers a signed assertion also takes none at all, as ChatGPT does. */
const Document = z.object({
  client_id: z.string(),
  client_name: z.string(),
  redirect_uris: redirectUris,
  client_secret: z.never().optional(),
  client_secret_expires_at: z.never().optional(),
  token_endpoint_auth_method: z.enum(['none', 'private_key_jwt']).optional(),
});

const MAX_NAME = 100;
const UNNAMED = 'Unnamed client';

/** Names stand on our consent page: nothing invisible, nothing that turns the direction of what comes after it. */
function clean(name: string): string {
  const visible = name
    .normalize('NFC')
    .replaceAll(/\s+/g, ' ')
    .replaceAll(/[\p{C}\p{Default_Ignorable_Code_Point}]/gu, '');
  return [...visible.trim()].slice(0, MAX_NAME).join('').trim();
}

function invalidRedirect(message: string): OAuthError {
  return new OAuthError('invalid_redirect_uri', message);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
