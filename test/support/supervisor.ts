import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { layoutOf, SLOTS, type Slot } from '../../src/operator/agent/layout.ts';

/** Keeps the slots of one home running, as launchd and systemd do: whatever ends is started again after a moment. */
export interface Supervisor extends AsyncDisposable {
  /** The process that runs the slot now, or ran it last. */
  pid(slot: Slot): number;
  /** How often the slot was started. */
  starts(slot: Slot): number;
  /** Starts nothing any more. Resolves when everything is gone. */
  stop(): Promise<void>;
}

export interface SupervisorOptions {
  ports: Record<Slot, number>;
  /** Between an end and the next start; launchd's is ten seconds. */
  restartMs?: number;
  /** Default: both. */
  slots?: readonly Slot[];
}

/** Runs `bin/run-slot` of this home, with its output in `log/`. */
export function supervise(home: string, { ports, restartMs = 100, slots = SLOTS }: SupervisorOptions): Supervisor {
  const layout = layoutOf(home);
  const running = new Map<Slot, ChildProcess>();
  const starts = new Map<Slot, number>();
  let isOver = false;

  function start(slot: Slot): void {
    const log = openSync(layout.log(slot), 'a', 0o600);
    const child = spawn('/bin/sh', [layout.runSlot, slot, `${ports[slot]}`], {
      cwd: '/',
      env: { PATH: process.env.PATH, HOME: home },
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    running.set(slot, child);
    starts.set(slot, (starts.get(slot) ?? 0) + 1);
    child.once('error', () => {});
    child.once('exit', () => {
      setTimeout(() => {
        if (!isOver) start(slot);
      }, restartMs);
    });
  }

  const kill = () => {
    for (const child of running.values()) child.kill('SIGKILL');
  };
  async function stop(): Promise<void> {
    isOver = true;
    process.off('exit', kill);
    await Promise.all([...running.values()].map(end));
  }

  // However this process ends, the slots end with it.
  process.once('exit', kill);
  for (const slot of slots) start(slot);
  return {
    pid: slot => running.get(slot)?.pid ?? 0,
    starts: slot => starts.get(slot) ?? 0,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

// Private

const STOP_MS = 5000;

async function end(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGCONT');
  child.kill('SIGTERM');
  const patience = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
  await exited;
  clearTimeout(patience);
}
