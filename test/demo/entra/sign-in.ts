import { createHash, randomBytes } from 'node:crypto';
import { decodeJwt } from 'jose';
import { z } from 'zod';
import type { StandInEntra } from '../../../src/demo/entra/stand-in-entra.ts';
import { AXE, NATIVE, SCOPE } from './sample-tenants.ts';

export const REDIRECT = 'http://localhost:51234/callback';

/** A PKCE pair. */
export function createProof(): { verifier: string; challenge: string } {
  const verifier = randomBytes(32).toString('base64url');
  return { verifier, challenge: createHash('sha256').update(verifier).digest('base64url') };
}

type Parameters = Record<string, string | undefined>;

const present = (parameters: Parameters) =>
  new URLSearchParams(
    Object.entries(parameters).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );

/** The address a client opens in the browser; undefined leaves a parameter out. */
export function authorizePath(changes: Parameters = {}, tenantId = AXE): string {
  const parameters = {
    client_id: NATIVE,
    response_type: 'code',
    redirect_uri: REDIRECT,
    scope: `${SCOPE} openid profile offline_access`,
    state: 'st&te',
    code_challenge: createProof().challenge,
    code_challenge_method: 'S256',
    ...changes,
  };
  return `/${tenantId}/oauth2/v2.0/authorize?${present(parameters)}`;
}

/** Presses a button of the login page. */
export async function answerLogin(entra: StandInEntra, path: string, form: Record<string, string>): Promise<URL> {
  const response = await entra.app.request(path, { method: 'POST', body: new URLSearchParams(form) });
  const location = response.headers.get('location');
  if (!location) throw new Error(`no redirect but ${response.status}: ${await response.text()}`);
  return new URL(location);
}

export async function postToken(
  entra: StandInEntra,
  form: Parameters,
  headers: Record<string, string> = {},
  tenantId = AXE,
) {
  return entra.app.request(`/${tenantId}/oauth2/v2.0/token`, { method: 'POST', body: present(form), headers });
}

/** A code, and what its client has to send to redeem it. */
export async function obtainCode(
  entra: StandInEntra,
  changes: Parameters = {},
  person = 'ada@axe.example',
  tenantId = AXE,
) {
  const { verifier, challenge } = createProof();
  const path = authorizePath({ code_challenge: challenge, ...changes }, tenantId);
  const answer = await answerLogin(entra, path, { person });
  return {
    answer,
    form: {
      grant_type: 'authorization_code',
      client_id: changes.client_id ?? NATIVE,
      redirect_uri: changes.redirect_uri ?? REDIRECT,
      code: answer.searchParams.get('code') ?? undefined,
      code_verifier: verifier,
    } as Parameters,
  };
}

export async function readJson(response: Response): Promise<Record<string, unknown>> {
  return z.record(z.string(), z.unknown()).parse(await response.json());
}

export function claimsOf(token: unknown) {
  return decodeJwt(String(token));
}
