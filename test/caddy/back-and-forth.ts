import type { Layout, Slot } from '../../src/operator/agent/layout.ts';
import { flip } from '../../src/operator/agent/slots.ts';
import type { Asked, RunningLoad } from '../support/flip-load.ts';

/** When a flip began, and when it was over, as performance.now() has it. */
export interface Flip {
  to: Slot;
  begun: number;
  over: number;
}

/** From blue to green and back, and so on; each time, the new slot gives that many answers before it goes on. */
export async function flipBackAndForth(
  load: RunningLoad,
  layout: Layout,
  times: number,
  answers: number,
): Promise<Flip[]> {
  const flips: Flip[] = [];
  for (let i = 0; i < times; i += 1) {
    const to = i % 2 === 0 ? 'green' : 'blue';
    const begun = performance.now();
    await flip(layout, to);
    const over = performance.now();
    flips.push({ to, begun, over });
    await load.until(() => answersOf(load, to, over) >= answers);
  }
  return flips;
}

/** How many good answers that slot gave to what was asked later than `since`; no more than 200 are looked at. */
export function answersOf({ asked }: RunningLoad, slot: Slot, since: number): number {
  return asked.slice(-200).filter(one => one.askedAt > since && one.slot === slot && one.failure === undefined).length;
}

/** What was asked after one flip, and answered before the next, but not by the slot that was live then. */
export function answeredByOthers({ asked }: RunningLoad, flips: readonly Flip[]): Asked[] {
  return flips.flatMap(({ to, over }, i) => {
    const next = flips[i + 1]?.begun ?? Number.POSITIVE_INFINITY;
    return asked.filter(({ askedAt, endedAt, slot }) => askedAt > over && endedAt < next && slot !== to);
  });
}
