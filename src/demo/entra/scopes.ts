import { EntraError } from './entra-error.ts';
import type { StandInApi } from './tenant.ts';

/** What a client asked for, taken apart: the application by the name it was asked with, and the rights. */
export interface RequestedScopes {
  /** The Application ID URI or client id of the API; undefined means Graph, as for every bare scope. */
  resource?: string | undefined;
  /** Scopes of the API in their short form. */
  names: readonly string[];
  openid: boolean;
  email: boolean;
  offlineAccess: boolean;
}

export function readScopes(text: string, api: StandInApi): RequestedScopes {
  const words = new Set(text.split(' ').filter(word => word !== ''));
  if (words.size === 0) throw new EntraError(900144, "The request body must contain the following parameter: 'scope'.");
  const qualified = [...words].filter(word => !OPENID_SCOPES.has(word)).map(word => readScope(word, api));
  const resources = new Set(qualified.map(({ resource }) => resource));
  if (resources.size > 1) {
    throw new EntraError(
      70011,
      `The provided value for the input parameter 'scope' is not valid: ${text} names more than one resource.`,
    );
  }
  return {
    resource: qualified[0]?.resource,
    names: [...new Set(qualified.flatMap(({ names }) => names))],
    openid: words.has('openid'),
    email: words.has('email'),
    offlineAccess: words.has('offline_access'),
  };
}

/** Entra takes `resource` only when it is a name of the API whose scopes are asked for. */
export function checkResource(resource: string | undefined, scopes: RequestedScopes, api: StandInApi): void {
  if (resource === undefined) return;
  if (scopes.resource !== undefined && api.uris.includes(resource)) return;
  throw new EntraError(
    9010010,
    "The resource parameter provided in the request doesn't match with the requested scopes.",
  );
}

// Private

const OPENID_SCOPES = new Set(['openid', 'profile', 'email', 'offline_access']);

function readScope(word: string, api: StandInApi): { resource: string; names: readonly string[] } {
  const slash = word.lastIndexOf('/');
  if (slash < 0) {
    throw new EntraError(
      65005,
      `The application asked for scope '${word}' that doesn't exist on the resource of Microsoft Graph.`,
    );
  }
  const resource = word.slice(0, slash);
  const name = word.slice(slash + 1);
  const isApi = resource === api.clientId || api.uris.includes(resource);
  if (isApi && name === '.default') return { resource, names: api.scopes };
  if (isApi && api.scopes.includes(name)) return { resource, names: [name] };
  throw new EntraError(
    70011,
    `The provided value for the input parameter 'scope' is not valid. The scope ${word} is not valid.`,
  );
}
