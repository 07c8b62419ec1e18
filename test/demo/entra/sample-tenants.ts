import type { StandInTenant } from '../../../src/demo/entra/tenant.ts';

export const AXE = 'aaaaaaaa-0000-4000-8000-000000000001';
export const BOLT = 'bbbbbbbb-0000-4000-8000-000000000001';
export const AXE_API = 'aaaaaaaa-0000-4000-8000-00000000000a';
export const BOLT_API = 'bbbbbbbb-0000-4000-8000-00000000000a';
export const NATIVE = 'aaaaaaaa-0000-4000-8000-0000000000c1';
export const WEB = 'aaaaaaaa-0000-4000-8000-0000000000c2';
export const SPA = 'aaaaaaaa-0000-4000-8000-0000000000c3';
export const SCOPE = 'api://axe.example/frame/access_as_user';
export const RESOURCE = 'http://127.0.0.1:3712/frame/mcp';
export const SECRET = 'a secret, with: signs & such';

export const axe: StandInTenant = {
  tenantId: AXE,
  name: 'AXE LLC',
  api: {
    clientId: AXE_API,
    uris: ['api://axe.example/frame', RESOURCE],
    scopes: ['access_as_user', 'more'],
    tokenVersion: 2,
  },
  clients: [
    {
      clientId: NATIVE,
      name: 'Claude Code',
      redirects: [
        { platform: 'native', uri: 'http://localhost/callback' },
        { platform: 'native', uri: 'http://127.0.0.1/callback' },
        { platform: 'native', uri: 'cursor://anysphere.cursor-mcp/oauth/callback' },
      ],
    },
    {
      clientId: WEB,
      name: 'Frame <gateway>',
      secret: SECRET,
      redirects: [{ platform: 'web', uri: 'https://axe.example/callback/entra?kept=1' }],
    },
    { clientId: SPA, name: 'Inspector', redirects: [{ platform: 'spa', uri: 'http://localhost:6274/oauth/callback' }] },
  ],
  people: [
    {
      objectId: 'aaaaaaaa-0000-4000-8000-0000000000d1',
      name: 'Ada Axe',
      username: 'ada@axe.example',
      appRoles: ['Frame.Admin'],
    },
    {
      objectId: 'aaaaaaaa-0000-4000-8000-0000000000d2',
      name: '<b>Bob</b> "B" O\'Neil & Sons',
      username: 'Bob@axe.example',
      groups: ['aaaaaaaa-0000-4000-8000-0000000000e1'],
      about: 'reads <everything>',
    },
    {
      objectId: 'aaaaaaaa-0000-4000-8000-0000000000d3',
      name: 'Gus Guest',
      username: 'gus@elsewhere.example',
      guest: true,
    },
    {
      objectId: 'aaaaaaaa-0000-4000-8000-0000000000d4',
      name: 'Max Many',
      username: 'max@axe.example',
      groups: Array.from({ length: 201 }, (_, n) => `aaaaaaaa-0000-4000-8000-${String(n).padStart(12, '0')}`),
    },
  ],
};

export const bolt: StandInTenant = {
  tenantId: BOLT,
  name: 'Bolt Inc',
  api: { clientId: BOLT_API, uris: ['api://bolt.example/frame'], scopes: ['access_as_user'], tokenVersion: 1 },
  clients: [{ clientId: NATIVE, name: 'Claude Code', redirects: [{ platform: 'native', uri: 'http://localhost' }] }],
  people: [{ objectId: 'bbbbbbbb-0000-4000-8000-0000000000d1', name: 'Ben Bolt', username: 'ben@bolt.example' }],
};
