import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { getRequestListener } from '@hono/node-server';
import type { Hono } from 'hono';
import { accessTokenClaims } from './claims.ts';
import { createCodes } from './grants.ts';
import { createRoutes, type Home } from './routes.ts';
import { findPerson, type StandInTenant } from './tenant.ts';
import { createTenantKeys } from './tenant-keys.ts';

/**
 * A stand-in for Microsoft Entra on this machine: several tenants, real keys, the OAuth code flow with its refusals.
 * Whoever reaches it may sign in as anybody, so it belongs on a loopback address only.
 */
export interface StandInEntra {
  app: Hono;
  /** `http://host:port`, where it listens: the issuers of all its tokens begin with it. */
  readonly authority: string;
  /** Resolves to the authority. Port 0 takes a free one. */
  listen(host: string, port: number): Promise<string>;
  /** An access token for the API of a person's tenant, found by user name or object id. */
  mint(who: string, changes?: TokenChanges): Promise<string>;
  /** A new key signs from now on; the one before it stays published, older ones go. */
  rotateKeys(tenantId: string): Promise<void>;
  close(): Promise<void>;
}

export interface TokenChanges {
  /** Needed when people of several tenants have this name. */
  tenantId?: string;
  /** Replace what would stand there; undefined leaves it out. */
  claims?: Record<string, unknown>;
  header?: Record<string, unknown>;
}

export interface StandInOptions {
  tenants: readonly StandInTenant[];
  /** Milliseconds since 1970. */
  now(): number;
  /** Keeps the keys across restarts, readable by the owner only. */
  dataFolder?: string;
  /** When it is known before listening, or another process listens. */
  authority?: string;
}

export function createStandInEntra(options: StandInOptions): StandInEntra {
  const { tenants, now, dataFolder } = options;
  const folder = dataFolder && join(dataFolder, 'entra');
  const homes = new Map<string, Home>(
    tenants.map(tenant => [tenant.tenantId, { tenant, keys: createTenantKeys(tenant.tenantId, folder) }]),
  );
  let { authority } = options;
  let server: Server | undefined;

  function knownAuthority(): string {
    if (authority) return authority;
    throw new Error('The stand-in Entra has no authority before it listens.');
  }

  const app = createRoutes({ homes, codes: createCodes(now), authority: knownAuthority, now });

  return {
    app,
    get authority() {
      return knownAuthority();
    },
    async listen(host, port) {
      server = createServer(getRequestListener(app.fetch));
      await once(server.listen(port, host), 'listening');
      authority ??= originOf(server.address());
      return authority;
    },
    async mint(who, { tenantId, claims, header } = {}) {
      const { tenant, keys, person } = findMember(homes, who, tenantId);
      const { api, clients } = tenant;
      const grant = {
        tenant,
        person,
        clientId: clients[0]?.clientId ?? api.clientId,
        scopes: { resource: api.uris[0], names: api.scopes, openid: false, email: false, offlineAccess: false },
      };
      return keys.sign({ ...accessTokenClaims(knownAuthority(), grant, now()), ...claims }, header);
    },
    async rotateKeys(tenantId) {
      await homes.get(tenantId)?.keys.rotate();
    },
    async close() {
      if (!server) return;
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
      server = undefined;
    },
  };
}

// Private

function findMember(homes: ReadonlyMap<string, Home>, who: string, tenantId: string | undefined) {
  for (const home of homes.values()) {
    const person = findPerson(home.tenant, who);
    if (person && (tenantId ?? home.tenant.tenantId) === home.tenant.tenantId) return { ...home, person };
  }
  throw new Error(`The stand-in Entra knows nobody called ${who}.`);
}

function originOf(address: AddressInfo | string | null): string {
  if (address === null || typeof address === 'string') throw new Error('The stand-in Entra listens on TCP only.');
  return `http://${address.address}:${address.port}`;
}
