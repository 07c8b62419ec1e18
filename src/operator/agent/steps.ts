import { Refused, type Scene } from './deed.ts';

/** The steps of one verb: each is told, timed, and written down before it begins. */
export interface Steps {
  /** Something that changes nothing: done in a dry run too. */
  look<T>(step: string, work: () => Promise<T>): Promise<T>;
  /** Something that changes this machine. A text that `work` resolves to replaces `note`. */
  run(step: string, note: string, work: () => Promise<unknown>): Promise<void>;
  /** The same, also when the process was told to end: without it things would be left half done. */
  finish(step: string, note: string, work: () => Promise<unknown>): Promise<void>;
  /** The same, on a way back: also when it cannot be written down, for a full disk may be why one goes back. */
  undo(step: string, note: string, work: () => Promise<unknown>): Promise<void>;
  /** Did a way back fail? Then it is left to whoever comes next. */
  isOwing(): boolean;
  skip(step: string, note: string): void;
}

/** Writes a step down, or throws and it is not done; what is `vital` is done even when it could not be written. */
export type Begin = (step: string, isVital: boolean) => Promise<void>;

export function createSteps({ tell, dryRun, stop }: Scene, begin: Begin): Steps {
  let isOwing = false;

  async function perform<T>(
    step: string,
    note: string | undefined,
    work: () => Promise<T>,
    isVital = false,
  ): Promise<T> {
    await begin(step, isVital);
    tell({ kind: 'step', step, state: 'begun', note });
    const started = performance.now();
    const told = (state: 'done' | 'failed', ended = note) =>
      tell({ kind: 'step', step, state, ms: Math.round(performance.now() - started), note: ended });
    try {
      const result = await work();
      told('done', typeof result === 'string' ? result : note);
      return result;
    } catch (thrown) {
      told('failed');
      throw thrown;
    }
  }

  async function finish(step: string, note: string, work: () => Promise<unknown>, isVital = false): Promise<void> {
    if (dryRun) tell({ kind: 'step', step, state: 'planned', note });
    else await perform(step, note, work, isVital);
  }

  return {
    async look(step, work) {
      refuseIfStopped(step, stop);
      return await perform(step, undefined, work);
    },
    async run(step, note, work) {
      refuseIfStopped(step, stop);
      await finish(step, note, work);
    },
    finish: (step, note, work) => finish(step, note, work),
    async undo(step, note, work) {
      await finish(step, note, work, true).catch(thrown => {
        isOwing = true;
        throw thrown;
      });
    },
    isOwing: () => isOwing,
    skip: (step, note) => tell({ kind: 'step', step, state: 'skipped', note }),
  };
}

/** @throws Refused when this process was told to end */
export function refuseIfStopped(step: string, stop: AbortSignal | undefined): void {
  if (!stop?.aborted) return;
  throw new Refused({
    code: 'deploy/failed',
    message: `Told to end at the step \`${step}\`; what serves was not touched.`,
    hint: 'The same command again goes on from there.',
    exit: 1,
  });
}
