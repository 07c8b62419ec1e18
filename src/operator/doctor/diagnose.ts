import type { Secret } from '../../secret.ts';
import type { Inspect } from '../health/inspect.ts';
import { judgeClocks, overhearClocks } from './clock.ts';
import { lookAtPreflight } from './cors.ts';
import { lookAtKeys, lookAtRedirect, lookAtTenant } from './entra.ts';
import { lookAtGateway } from './gateway.ts';
import { askMachine } from './machine.ts';
import { callWithoutToken, speak2025, speak2026 } from './mcp.ts';
import type { Path } from './path.ts';
import { lookAtCertificate, lookUpName, openConnection } from './reach.ts';
import { lookAtResource } from './resource-metadata.ts';
import { lookAtRegistration, lookAtSignIn } from './sign-in.ts';
import { createWalk, ok, type StepReport, skipped } from './walk.ts';

/** The whole way of a client, in its order. */
export interface Diagnosis extends Path {
  inspect: Inspect;
  /** A person's access token: with it the tools are listed, without it they are only asked for. */
  token: Secret | undefined;
  /** Another address was given, so the name need not lead anywhere. */
  isDetour: boolean;
  /** Milliseconds since 1970. */
  now(): number;
}

/** Resolves to all steps; `tell` hears each when it is done. */
export async function diagnose(parts: Diagnosis, tell: (report: StepReport) => void): Promise<readonly StepReport[]> {
  const { customer, origin, token, isDetour, now } = parts;
  const { network, aheadBy } = overhearClocks(parts.network, now);
  const path: Path = { customer, origin, network };
  const { step, reports } = createWalk(tell);

  await step('customer', [], () => ok(`${customer.name} at ${origin}, sign_in ${customer.signIn}.`));
  const name = await step('name', [], () => (isDetour ? skipped('--connect leads around it.') : lookUpName(path)));
  const connection = await step('connection', [name], () => openConnection(path));
  const certificate = await step('certificate', [connection], () => lookAtCertificate(path, now()));
  const gateway = await step('gateway', [certificate], () => lookAtGateway(path));
  const challenge = await step('challenge', [gateway], () => callWithoutToken(path));
  const resource = await step('resource-metadata', [gateway], () => lookAtResource(path));
  const signIn = await step('sign-in-metadata', [gateway], () => lookAtSignIn(path));
  await step('registration', [signIn], () => lookAtRegistration(path));
  const tenant = await step('entra-tenant', [], () => lookAtTenant(path));
  await step('entra-keys', [tenant], () => lookAtKeys(path));
  await step('redirect-uri', [tenant], () => lookAtRedirect(path));
  await step('clock', [], () => judgeClocks(aheadBy));
  await step('mcp-2025-11-25', [challenge], () => speak2025(path, token));
  await step('mcp-2026-07-28', [challenge], () => speak2026(path, token));
  await step('preflight', [resource], () => lookAtPreflight(path));
  await step('machine', [], () => askMachine(customer, parts.inspect, reports));
  return reports;
}
