import { NoAnswer } from './network.ts';

/**
 * Steps on a path: each looks at one thing, and is not tried when a step that it needs is broken. Steps that need nothing
 * broken go on.
 */
export interface Walk {
  reports: readonly StepReport[];
  /** When the network fails under `look`, the step is broken. */
  step(name: string, needs: readonly Stage[], look: () => Finding | Promise<Finding>): Promise<Stage>;
}

export interface StepReport extends Finding {
  step: string;
  ms: number;
}

/** What a step found. */
export interface Finding {
  outcome: 'ok' | 'broken' | 'unclear' | 'skipped' | 'not-tried';
  /** A fact, or what was seen instead of one. */
  seen: string;
  /** What to do about it, when it is broken. */
  mend?: string;
}

/** A step that was done, for those behind it. */
export interface Stage {
  name: string;
  isPassed: boolean;
}

export const ok = (seen: string): Finding => ({ outcome: 'ok', seen });
export const broken = (seen: string, mend: string): Finding => ({ outcome: 'broken', seen, mend });
/** It cannot be told from here. */
export const unclear = (seen: string): Finding => ({ outcome: 'unclear', seen });
/** There is nothing to look at for this customer. */
export const skipped = (seen: string): Finding => ({ outcome: 'skipped', seen });

export function createWalk(tell: (report: StepReport) => void): Walk {
  const reports: StepReport[] = [];
  return {
    reports,
    async step(name, needs, look) {
      const began = performance.now();
      const missing = needs.find(({ isPassed }) => !isPassed);
      const finding: Finding = missing
        ? { outcome: 'not-tried', seen: `It needs ${missing.name}.` }
        : await Promise.try(look).catch(failed);
      const report = { step: name, ...finding, ms: Math.round(performance.now() - began) };
      reports.push(report);
      tell(report);
      return { name, isPassed: finding.outcome !== 'broken' && finding.outcome !== 'not-tried' };
    },
  };
}

// Private

function failed(failure: unknown): Finding {
  if (!(failure instanceof NoAnswer)) throw failure;
  return broken(`There was no answer: ${failure.message}.`, 'Try again; if it stays, try it from another network too.');
}
