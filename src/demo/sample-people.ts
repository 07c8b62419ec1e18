import type { StandInPerson, StandInRedirect, StandInTenant } from './entra/tenant.ts';

/** Where the sample companies are reached: two names of one listener. */
export interface SampleOrigins {
  axe: string;
  nordwind: string;
}

export function sampleOrigins(port: number): SampleOrigins {
  return { axe: `http://127.0.0.1:${port}`, nordwind: `http://localhost:${port}` };
}

/** No secret at all: whoever reaches the stand-in may be anybody. */
export const SAMPLE_SECRET = 'known-to-everybody';

/** The directories of the companies in demo/customers.yaml; every way to be admitted, and one not to be. */
export function sampleTenants({ axe, nordwind }: SampleOrigins): readonly StandInTenant[] {
  return [
    {
      tenantId: '122fb574-0000-4000-8000-000000000001',
      name: 'AXE LLC',
      people: [
        person(1, 'Ai Tanaka', 'ai@axellc.com', { about: 'admin of every entity' }),
        person(2, 'Dev Patel', 'dev@axellc.com', { about: 'dev, by app role', appRoles: ['Frame.Developer'] }),
        person(3, 'Eve Larsen', 'eve@axellc.com', { about: 'editor' }),
        person(4, 'Vic Moreau', 'vic@axellc.com', { about: 'view' }),
        person(5, 'Gus Guest', 'gus_partner.example#EXT#@axellc.com', { about: 'guest, not admitted', guest: true }),
      ],
      ...application(axe, '6f0c0000-0000-4000-8000-00000000000a'),
    },
    {
      tenantId: '122fb574-0000-4000-8000-000000000002',
      name: 'Nordwind GmbH',
      people: [
        person(11, 'Nora Winter', 'nora@nordwind.example', { about: 'admin' }),
        person(12, 'Ole Brandt', 'ole@nordwind.example', { about: 'view' }),
      ],
      ...application(nordwind, '6f0c0000-0000-4000-8000-00000000000b'),
    },
  ];
}

// Private

function person(number: number, name: string, username: string, more: Partial<StandInPerson>): StandInPerson {
  return { objectId: `0b1ec700-0000-4000-8000-${String(number).padStart(12, '0')}`, name, username, ...more };
}

/**
 * One registration that is both the API and a program that people sign in to: Frame itself with its secret, and for direct
 * sign-in public clients. Its App ID URI is the MCP URL: Entra accepts the `resource` that every MCP client sends only when
 * it is one (AADSTS9010010).
 */
function application(origin: string, clientId: string): Pick<StandInTenant, 'api' | 'clients'> {
  const callback = { platform: 'web', uri: `${origin}/callback/entra` } as const;
  return {
    api: { clientId, uris: [`${origin}/frame/mcp`], scopes: ['access_as_user'], tokenVersion: 2 },
    clients: [{ clientId, name: 'Frame', secret: SAMPLE_SECRET, redirects: [callback, ...REDIRECTS] }],
  };
}

/** Claude Code and scripts, VS Code, the Inspector. */
const REDIRECTS: readonly StandInRedirect[] = [
  { platform: 'native', uri: 'http://localhost/callback' },
  { platform: 'native', uri: 'http://127.0.0.1/callback' },
  { platform: 'native', uri: 'http://127.0.0.1/' },
  { platform: 'spa', uri: 'http://localhost:6274/oauth/callback' },
];
