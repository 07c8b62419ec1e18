import type { Heard } from '../agent/protocol.ts';
import type { Io } from '../command.ts';
import { duration } from './measure.ts';
import { plain } from './plain.ts';

/**
 * What happens at the customers' machines, as it happens. A line on standard error for every step that ended; what runs
 * is the last line of a terminal, and elsewhere a line of its own when it takes long, so that nothing hangs silently.
 */
export interface StepBoard extends Disposable {
  /** Nothing is said after it was disposed of. */
  track(customer: string): Track;
  /** Looks at the clock; it does so by itself, too. */
  tick(): void;
}

/** The steps of one customer, those of the machine and those here. */
export interface Track {
  /** Those that ended, in order. */
  readonly steps: readonly EndedStep[];
  heard(heard: Heard): void;
  /** A step on this side. `note` says what came of it. */
  run<T>(step: string, work: () => Promise<T>, note?: (result: T) => string | undefined): Promise<T>;
  /** A step that does nothing, and why. */
  pass(step: string, state: 'skipped' | 'planned', note: string): void;
  /** What to show beside a step while it runs. */
  meanwhile(step: string, note: string): void;
  /** Nobody is there any more who could say how a step ends that still runs. */
  lose(): void;
}

export interface EndedStep {
  step: string;
  state: 'done' | 'skipped' | 'failed' | 'planned' | 'lost';
  ms?: number;
  note?: string;
}

/** `customers`: all that will be tracked, so that their lines stand below each other. */
export function createStepBoard(io: Io, customers: readonly string[], now = () => performance.now()): StepBoard {
  const width = Math.max(0, ...customers.map(({ length }) => length));
  const running = new Set<RunningStep>();
  const ticker = setInterval(tick, TICK_MS).unref();
  let isOver = false;

  function say(line: string): void {
    if (isOver) return;
    if (io.isTerminal) io.status('');
    io.err(line);
    showRunning();
  }

  function showRunning(): void {
    if (!io.isTerminal || isOver) return;
    const all = [...running].map(({ customer, step, note, begunAt }) =>
      [customer, step, note, duration(now() - begunAt)].filter(Boolean).join(' '),
    );
    io.status(plain(all.join(' · ')).slice(0, STATUS_WIDTH));
  }

  function tick(): void {
    showRunning();
    if (io.isTerminal) return;
    for (const each of running) {
      if (now() - each.saidAt < QUIET_MS) continue;
      each.saidAt = now();
      say(lineOf(each.customer, each.step, '…', `runs for ${duration(now() - each.begunAt)}; ${each.note}`));
    }
  }

  function lineOf(customer: string, step: string, took: string, note = ''): string {
    const line = `${customer.padEnd(width)}  ${plain(step).padEnd(STEP_WIDTH)}  ${took.padStart(TOOK_WIDTH)}  `;
    return `${line}${plain(note).replace(/; $/, '')}`.trimEnd();
  }

  return {
    tick,
    [Symbol.dispose]() {
      clearInterval(ticker);
      isOver = true;
      if (io.isTerminal) io.status('');
    },
    track(customer) {
      const steps: EndedStep[] = [];

      function find(step: string): RunningStep | undefined {
        return [...running].find(each => each.customer === customer && each.step === step);
      }

      function begin(step: string, note = ''): void {
        running.add({ customer, step, note, begunAt: now(), saidAt: now() });
        showRunning();
      }

      function end(ended: EndedStep): void {
        const before = find(ended.step);
        if (before) running.delete(before);
        steps.push(ended);
        say(lineOf(customer, ended.step, tookOf(ended), ended.note));
      }

      return {
        steps,
        heard(heard) {
          if (heard.kind === 'step') {
            const { step, state, ms, note } = heard;
            if (state === 'begun') begin(step, note);
            else end({ step, state, ...(ms !== undefined && { ms }), ...(note !== undefined && { note }) });
          } else if (heard.kind === 'log') {
            say(`${customer}  the last lines of the log of ${plain(heard.slot)}:`);
            for (const line of heard.lines) say(`  | ${plain(line)}`);
          } else if (heard.kind === 'warning') {
            say(`${customer}  warning: ${plain(heard.sentence)}`);
          }
        },
        async run(step, work, note) {
          begin(step);
          const begunAt = now();
          const took = () => ({ ms: Math.round(now() - begunAt) });
          try {
            const result = await work();
            const said = note?.(result);
            end({ step, state: 'done', ...took(), ...(said !== undefined && { note: said }) });
            return result;
          } catch (thrown) {
            end({ step, state: 'failed', ...took() });
            throw thrown;
          }
        },
        pass: (step, state, note) => end({ step, state, note }),
        meanwhile(step, note) {
          const each = find(step);
          if (each) each.note = note;
        },
        lose() {
          for (const each of [...running]) if (each.customer === customer) end({ step: each.step, state: 'lost' });
        },
      };
    },
  };
}

// Private

interface RunningStep {
  customer: string;
  step: string;
  note: string;
  begunAt: number;
  saidAt: number;
}

const TICK_MS = 250;
/** Elsewhere than on a terminal, what runs is said again after each of these. */
const QUIET_MS = 15_000;
const STATUS_WIDTH = 78;
const STEP_WIDTH = 9;
const TOOK_WIDTH = 12;

function tookOf({ state, ms }: EndedStep): string {
  const took = ms === undefined ? '' : duration(ms);
  if (state === 'done') return took || 'done';
  return state === 'failed' ? `failed ${took}`.trimEnd() : state;
}
