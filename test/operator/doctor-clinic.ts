import { afterAll, afterEach, beforeAll } from 'vitest';
import { createStandInEntra } from '../../src/demo/entra/stand-in-entra.ts';
import { createDoctorCommand } from '../../src/operator/commands/doctor.ts';
import { type FrameHome, makeFrameHome } from '../support/frame-process.ts';
import { selfSigned } from '../support/self-signed.ts';
import { type Front, startFront } from './doctor-front.ts';
import { run, type Transcript } from './fixture.ts';

/**
 * A real gateway behind a real TLS server, and the stand-in Entra. People of axe sign in through the gateway, those of bolt
 * at Entra itself, which knows the redirect URI of axe only.
 */
export interface Clinic {
  home: FrameHome;
  front: Front;
  /** Runs `frame doctor`. */
  doctor(line: string, env?: NodeJS.ProcessEnv, command?: Doctor): Promise<Transcript>;
  /** The same with --json, read. */
  diagnose(line: string, env?: NodeJS.ProcessEnv, command?: Doctor): Promise<Diagnosis>;
  /** Of axe, through the front. */
  throughFront(command?: Doctor): Promise<Diagnosis>;
  /** customers.yaml of the laptop, as it is again after every test. */
  customers: string;
  /** Replaces it; the gateway has its own. */
  writeCustomers(text: string): Promise<unknown>;
}

type Doctor = ReturnType<typeof createDoctorCommand>;

export interface Diagnosis {
  exit: number;
  first_broken: string | null;
  steps: Record<string, { outcome: string; seen: string; mend?: string }>;
}

export const AXE = '122fb574-0000-4000-8000-0000000000d1';
export const BOLT = '122fb574-0000-4000-8000-0000000000d2';
export const AXE_APP = '6f0c0000-0000-4000-8000-0000000000d1';
export const BOLT_APP = '6f0c0000-0000-4000-8000-0000000000d2';
export const ORIGIN = 'https://axe.example';
export const DAY_MS = 86_400_000;

export const certificate = selfSigned('axe.example');
export const boltCertificate = selfSigned('bolt.example');
/** A doctor who trusts both. */
export const trusting = createDoctorCommand({ ca: certificate.cert + boltCertificate.cert });

export const BEHIND_GATEWAY = [
  'challenge',
  'resource-metadata',
  'sign-in-metadata',
  'registration',
  'mcp-2025-11-25',
  'mcp-2026-07-28',
  'preflight',
];

export const entra = createStandInEntra({
  tenants: [
    tenantOf(AXE, AXE_APP, 'axe.example', `${ORIGIN}/callback/entra`),
    tenantOf(BOLT, BOLT_APP, 'bolt.example', 'https://elsewhere.example/callback/entra'),
  ],
  now: Date.now,
});

/** One for all tests of a file; what a test changes is as before after it. */
export function openClinic(): Clinic {
  const clinic = {} as Clinic;
  beforeAll(async () => {
    const customers = customersYaml(await entra.listen('127.0.0.1', 0));
    const home = await makeFrameHome(customers);
    const writeCustomers = (text: string) => home.writeFile('laptop.yaml', text);
    Object.assign(clinic, { home, customers, writeCustomers });
    await writeCustomers(customers);
    const gateway = await home.serve({ env: { SECRET: 's' } });
    const front = await startFront(gateway.port, certificate);
    const doctor: Clinic['doctor'] = (line, env, command = trusting) =>
      run(command, home.folder, line, { FRAME_CUSTOMERS: 'laptop.yaml', ...env });
    const diagnose: Clinic['diagnose'] = async (line, env, command) => {
      const { exit, out, err } = await doctor(`${line} --json`, env, command);
      if (out === '') throw new Error(err);
      const { steps, ...rest } = JSON.parse(out);
      return { exit, ...rest, steps: Object.fromEntries(steps.map((step: { step: string }) => [step.step, step])) };
    };
    const throughFront = (command?: Doctor) => diagnose(`axe --connect 127.0.0.1:${front.port}`, {}, command);
    Object.assign(clinic, { front, doctor, diagnose, throughFront });
  });
  afterEach(async () => {
    clinic.front.restore();
    await clinic.writeCustomers(clinic.customers);
  });
  afterAll(async () => {
    await clinic.front?.[Symbol.asyncDispose]();
    await clinic.home?.remove();
    await entra.close();
  });
  return clinic;
}

/** The names of the steps with an outcome, in their order. */
export function namesOf({ steps }: Diagnosis, outcome: string): string[] {
  return Object.entries(steps).flatMap(([name, step]) => (step.outcome === outcome ? [name] : []));
}

// Private

function tenantOf(tenantId: string, clientId: string, domain: string, redirect: string) {
  return {
    tenantId,
    name: domain,
    api: { clientId, uris: [`api://${domain}`] as [string], scopes: ['x'], tokenVersion: 2 as const },
    clients: [{ clientId, name: 'Frame', secret: 's', redirects: [{ platform: 'web' as const, uri: redirect }] }],
    people: [
      { objectId: tenantId.replace('0000-4000', '0000-4001'), name: 'Ada', username: `ada@${domain}` },
      { objectId: tenantId.replace('0000-4000', '0000-4002'), name: 'Eve', username: `eve@${domain}` },
    ],
  };
}

function customersYaml(authority: string): string {
  return `customers:
  axe:
    name: AXE LLC
    origin: ${ORIGIN}
    domains: [axe.example]
    entra: { tenant_id: ${AXE}, audience: [${AXE_APP}], scope: x, client_id: ${AXE_APP}, client_secret: "\${SECRET}", authority: "${authority}" }
    entities: { axe: { name: AXE } }
    access: [{ who: ada@axe.example, role: admin }]
  bolt:
    name: Bolt
    origin: https://bolt.example
    domains: [bolt.example]
    entra: { tenant_id: ${BOLT}, audience: ["api://bolt.example", ${BOLT_APP}], scope: x, authority: "${authority}" }
    sign_in: direct
    entities: { bolt: { name: Bolt } }
    access: [{ who: ada@bolt.example, role: admin }]
`;
}
