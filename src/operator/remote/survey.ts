import type { Inspection } from '../agent/protocol.ts';
import { EXIT } from '../command.ts';
import { inLanes } from './lanes.ts';
import { type Verdict, verdictOn } from './outcome.ts';
import { look, type Means } from './reach.ts';
import type { Desk, Hosted } from './whom.ts';

/** A machine that was looked at, or why that was not possible. */
export type Looked = { customer: string; exit: number; found: Inspection } | ({ customer: string } & Verdict);

/** Looks at all of them, some at once; one that cannot be reached hides no other. */
export function survey(customers: readonly Hosted[], desk: Desk, { openHost }: Means): Promise<Looked[]> {
  return inLanes(customers, customer => lookAt(customer, desk, openHost));
}

// Private

async function lookAt(customer: Hosted, desk: Desk, open: Means['openHost']): Promise<Looked> {
  try {
    await using reached = await look(customer, desk, open);
    // Somebody else's machine: what is seen of it says nothing about this customer.
    const isTheirs = reached.found.host.customer === customer.id;
    return { customer: customer.id, exit: isTheirs ? EXIT.ok : EXIT.wrong, found: reached.found };
  } catch (thrown) {
    return { customer: customer.id, ...verdictOn(thrown) };
  }
}
