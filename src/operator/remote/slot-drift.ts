import { previousOf } from '../agent/history.ts';
import type { Slot } from '../agent/layout.ts';
import type { Inspection } from '../agent/protocol.ts';
import { type Drift, drift, note } from './difference.ts';

/** How one slot differs from what it should be: well, with the release that it holds, for the right customer. */
export function ofSlot(
  slot: Slot,
  { customer, host: destination }: { customer: string; host: string },
  { host, live, slots, history }: Inspection,
): Drift[] {
  const { release, pid, held, ready } = slots[slot];
  const mend = mendOf(slot, customer, { live, slots, history });
  const name = slot === live ? `${slot}, which is live,` : `${slot}, the other slot,`;
  // Before the second deploy, the other slot has nothing that it could run.
  if (release === undefined) return slot === live ? [drift('slot', `${name} holds no release.`, ...mend)] : [];
  if (held) return [drift('slot', `${name} is stopped.`, ...mend)];
  if (pid === undefined && !ready) {
    const sentence = `${name} does not run: nobody starts it, or it ends at once.`;
    return [drift('slot', sentence, `frame slot status ${customer}`, `frame provision ${customer}`)];
  }
  if (pid === undefined) {
    const sentence = `${name} answers, but could not write down which process it is (a full disk?). Find it, and end it by hand: it is started again, and known then.`;
    return [drift('slot', sentence, `ssh ${destination} lsof -nP -iTCP:${host.ports[slot]} -sTCP:LISTEN`)];
  }
  if (!ready) return [drift('slot', `${name} does not answer (process ${pid}).`, ...mend)];
  if (ready.status !== 200) {
    return [drift('slot', `${name} answers ${ready.status} when asked whether it is ready.`, ...mend)];
  }
  const { release: runs, customer: serves } = ready.body;
  if (runs !== release) return [drift('slot', `${name} holds release ${release}, but runs ${runs}.`, ...mend)];
  if (serves !== undefined && serves !== customer) {
    return [
      drift(
        'slot',
        `${name} serves ${serves === null ? 'whomever its customers.yaml names' : `\`${serves}\``}: FRAME_CUSTOMER in shared/env was wrong when it started.`,
        `frame provision ${customer}`,
        `frame deploy ${customer}`,
      ),
    ];
  }
  if (slot === live && slots[slot].oldEnv) {
    return [drift('env', `${name} began before shared/env was changed.`, `frame deploy ${customer}`)];
  }
  if (!live || slot === live || release === slots[live].release) return [];
  return release === previousOf(history, slots[live].release ?? '')
    ? [note('slot', `${name} holds release ${release}, which served before.`, `frame rollback ${customer}`)]
    : [note('slot', `${name} holds release ${release}, and it does not serve.`)];
}

export function isReady({ held, ready }: Inspection['slots'][Slot]): boolean {
  return !held && ready?.status === 200;
}

// Private

type Parts = Pick<Inspection, 'live' | 'slots' | 'history'>;

/** Another release takes over from what is live. In the other slot what served before should wait, and nothing bad. */
function mendOf(slot: Slot, customer: string, { live, slots, history }: Parts): string[] {
  const { release } = slots[slot];
  if (slot === live || release === undefined) return [`frame rollback ${customer}`];
  const isBad = history.findLast(({ to }) => to === release)?.result === 'gate-failed';
  const wanted = isBad ? previousOf(history, (live && slots[live].release) ?? '') : release;
  if (wanted === undefined) return [`frame deploy ${customer}`];
  return [`frame deploy ${customer} --ref ${wanted.replace(/^.*-/, '')} --no-promote`];
}
