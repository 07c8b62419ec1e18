import { createHash } from 'node:crypto';
import { wishFor } from '../provision/wish.ts';
import type { Drift } from './difference.ts';
import { DEFAULT_REF, type Expected, findDrifts, type Seen } from './drift.ts';
import { look, type Means } from './reach.ts';
import type { Desk, Hosted } from './whom.ts';

/**
 * Puts what customers.yaml and git say beside what runs at one customer. Changes nothing there.
 * @throws FrameError `deploy/unreachable`, `deploy/refused`; WrongConfiguration
 */
export async function compare(
  customer: Hosted,
  desk: Desk,
  { openHost, resolveCommit, root }: Means,
  ref = DEFAULT_REF,
): Promise<Drift[]> {
  const { id: release } = await resolveCommit(root, ref);
  // Values of variables stay here: nothing of the plan depends on them.
  const { request, part } = await wishFor(customer, desk, { restartProxy: true }, {});
  const expected: Expected = {
    customer: customer.id,
    host: customer.host,
    ref,
    release,
    customersDigest: createHash('sha256').update(part.text).digest('hex'),
    variables: part.variables,
    services: customer.services,
  };
  await using reached = await look(customer, desk, openHost);
  const { host, found } = reached;
  const seen: Seen = { found };
  if (found.host.customer === customer.id) seen.plan = await host.ask('provision', request, { dryRun: true });
  return findDrifts(expected, seen);
}
