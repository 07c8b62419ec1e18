import type { AccessLimits } from '../access/authenticate.ts';
import { createSigningKeys } from '../access/signing-keys.ts';
import { createClients } from '../broker/clients.ts';
import { createGrants } from '../broker/grants.ts';
import { publicNetwork } from '../broker/public-network.ts';
import { type Broker, type BrokerParts, createBroker } from '../broker/routes.ts';
import type { Settings } from '../config/settings.ts';

/** The authorization server: its clients, its grants, and its pages. */
export function openBroker(
  settings: Settings,
  parts: Pick<BrokerParts, 'pools' | 'keyring' | 'audit' | 'ownOrigins' | 'observe'>,
): Broker {
  const { signIn, tokens } = settings.gateway;
  const all = { ...parts, now: Date.now, fetch, limits: { ...signIn, leewaySeconds: tokens.clockLeewaySeconds } };
  const clients = createClients({ ...all, network: publicNetwork });
  const grants = createGrants({ ...all, clients });
  const keys = createSigningKeys({ ...all, limits: accessLimits(settings) });
  return createBroker({ ...all, clients, grants, keys });
}

export function accessLimits({ gateway: { tokens } }: Settings): AccessLimits {
  return {
    leewaySeconds: tokens.clockLeewaySeconds,
    rememberSeconds: 300,
    rememberTokens: tokens.remembered,
    keysMaxAgeMinutes: tokens.keysMaxAgeMinutes,
    keysStaleHours: tokens.keysStaleHours,
    keysCooldownSeconds: tokens.keysCooldownSeconds,
    keysTimeoutSeconds: 5,
  };
}
