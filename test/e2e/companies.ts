import { randomUUID } from 'node:crypto';
import { createStandInEntra, type StandInEntra } from '../../src/demo/entra/stand-in-entra.ts';
import type { StandInPerson, StandInTenant } from '../../src/demo/entra/tenant.ts';

/**
 * Two companies on two origins. Both have an entity `studio`, so that a name alone never says whose it is; every person
 * stands for one way to be admitted, or not to be.
 */
export const AXE = { tenantId: '122fb574-0000-4000-8000-000000000001', host: 'axe.example' };
export const NORDWIND = { tenantId: '122fb574-0000-4000-8000-000000000002', host: 'nordwind.example' };

/** Admitted people, and what each of them is. */
export const PEOPLE = {
  admin: { username: 'ai@axe.example', host: AXE.host },
  dev: { username: 'dev@axe.example', host: AXE.host },
  editor: { username: 'eve@axe.example', host: AXE.host },
  viewer: { username: 'vic@axe.example', host: AXE.host },
  northAdmin: { username: 'nora@nordwind.example', host: NORDWIND.host },
  northEditor: { username: 'ole@nordwind.example', host: NORDWIND.host },
} as const;

export type Who = keyof typeof PEOPLE;

export const AXE_ENTRY = (authority: string) => `
  axe:
    name: AXE LLC
    origin: https://${AXE.host}
    domains: [axe.example]
    entra:
      tenant_id: ${AXE.tenantId}
      audience: [api://axe.example/frame, 6f0c0000-0000-4000-8000-00000000000a]
      scope: access_as_user
      authority: ${authority}
    sign_in: direct
    entities:
      axe: { name: AXE LLC, environments: [prod, dev] }
      studio: { name: AXE Studio, environments: [staging] }
    access:
      - { who: ai@axe.example, role: admin }
      - { who: "role:Frame.Developer", role: dev, entities: [axe] }
      - { who: "oid:0b1ec700-0000-4000-8000-000000000003", role: editor, entities: [studio] }
      - { who: vic@axe.example, role: view }`;

export const NORDWIND_ENTRY = (authority: string) => `
  nordwind:
    name: Nordwind GmbH
    origin: https://${NORDWIND.host}
    domains: [nordwind.example]
    entra:
      tenant_id: ${NORDWIND.tenantId}
      audience: [api://nordwind.example/frame, 6f0c0000-0000-4000-8000-00000000000b]
      scope: access_as_user
      authority: ${authority}
    sign_in: direct
    entities:
      nordwind: { name: Nordwind GmbH }
      studio: { name: Nordwind Studio }
    access:
      - { who: nora@nordwind.example, role: admin }
      - { who: ole@nordwind.example, role: editor, entities: [nordwind] }`;

export function customersYaml(authority: string): string {
  return `customers:${AXE_ENTRY(authority)}\n${NORDWIND_ENTRY(authority)}\n`;
}

/** `authority`: where the gateway finds it, when that is not where it listens. */
export function createCompanies(authority?: string): StandInEntra {
  return createStandInEntra({ tenants: TENANTS, now: Date.now, ...(authority && { authority }) });
}

/** A key that nobody used before. */
export const freshKey = () => `key ${randomUUID()}`;

// Private

const person = (number: number, username: string, more: Partial<StandInPerson> = {}): StandInPerson => ({
  objectId: `0b1ec700-0000-4000-8000-${String(number).padStart(12, '0')}`,
  name: username.split('@')[0] ?? '',
  username,
  ...more,
});

const tenant = (tenantId: string, domain: string, clientId: string, people: StandInPerson[]): StandInTenant => ({
  tenantId,
  name: domain,
  people,
  api: { clientId, uris: [`api://${domain}/frame`], scopes: ['access_as_user'], tokenVersion: 2 },
  clients: [{ clientId, name: 'Frame', redirects: [{ platform: 'native', uri: 'http://localhost/callback' }] }],
});

const TENANTS: StandInTenant[] = [
  tenant(AXE.tenantId, 'axe.example', '6f0c0000-0000-4000-8000-00000000000a', [
    person(1, PEOPLE.admin.username),
    person(2, PEOPLE.dev.username, { appRoles: ['Frame.Developer'] }),
    person(3, PEOPLE.editor.username),
    person(4, PEOPLE.viewer.username),
    person(5, 'stranger@axe.example'),
    person(6, 'gus_other.example#EXT#@axe.example', { guest: true }),
    person(7, 'ai@nordwind.example'),
  ]),
  tenant(NORDWIND.tenantId, 'nordwind.example', '6f0c0000-0000-4000-8000-00000000000b', [
    person(11, PEOPLE.northAdmin.username),
    person(12, PEOPLE.northEditor.username),
    person(13, 'ai@axe.example'),
  ]),
];
