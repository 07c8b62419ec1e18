import type { Inspection } from '../agent/protocol.ts';
import { look, type Means, type Patience } from '../remote/reach.ts';
import type { Desk, Hosted } from '../remote/whom.ts';

/** What a customer's machine says of itself, over a connection of its own. Throws as `look`. */
export type Inspect = (customer: Hosted, patience?: Patience) => Promise<Inspection>;

export function createInspect(desk: Desk, open: Means['openHost']): Inspect {
  return async (customer, patience) => {
    await using reached = await look(customer, desk, open, patience);
    return reached.found;
  };
}
