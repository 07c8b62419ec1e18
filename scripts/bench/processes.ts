import { readdirSync, readFileSync } from 'node:fs';

/** What some processes have used by now. */
export interface Usage {
  cpuMicros: CpuMicros;
  rssMb: number;
}

/** Microseconds of CPU time, by process id. */
export type CpuMicros = ReadonlyMap<number, number>;

export type Meter = () => Usage;

/** Reads a process and all its children from /proc; where there is none (macOS), nothing. */
export function meterOf(pid: number): Meter {
  return () => {
    const family = familyOf(pid);
    return {
      cpuMicros: new Map(family.map(member => [member.pid, member.cpuMicros])),
      rssMb: family.reduce((sum, member) => sum + residentMbOf(member.pid), 0),
    };
  };
}

/** This process without its children, which are the servers under load. */
export function meterOfMyself(): Meter {
  return () => {
    const { user, system } = process.cpuUsage();
    return { cpuMicros: new Map([[process.pid, user + system]]), rssMb: process.memoryUsage.rss() / 1e6 };
  };
}

/** Microseconds between two looks. A process that ended in between is left out, one that began counts whole. */
export function cpuBetween(before: CpuMicros, after: CpuMicros): number {
  return [...after].reduce((sum, [pid, micros]) => sum + micros - (before.get(pid) ?? 0), 0);
}

/** Microseconds that all processes of this machine together have used; NaN where nobody says. */
export function machineMicros(): number {
  const [, user, nice, system, , , irq, softirq] = readProc('stat').split(/\s+/, 8).map(Number);
  return (
    [user, nice, system, irq, softirq].reduce<number>((sum, ticks = Number.NaN) => sum + ticks, 0) * MICROS_PER_TICK
  );
}

// Private

/** Linux counts in hundredths of a second, on all machines that we know. */
const MICROS_PER_TICK = 10_000;

interface Process {
  pid: number;
  parent: number;
  cpuMicros: number;
}

function familyOf(pid: number): Process[] {
  if (process.platform !== 'linux') return [];
  const all = readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .flatMap(name => readStat(Number(name)));
  const family = all.filter(member => member.pid === pid);
  for (const member of family) family.push(...all.filter(({ parent }) => parent === member.pid));
  return family;
}

function readStat(pid: number): Process[] {
  const stat = readProc(`${pid}/stat`);
  // The name of the program stands in parentheses and may hold anything.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [parent, user, system] = [1, 11, 12].map(index => Number(fields[index] ?? 0));
  return stat ? [{ pid, parent: parent ?? 0, cpuMicros: ((user ?? 0) + (system ?? 0)) * MICROS_PER_TICK }] : [];
}

function residentMbOf(pid: number): number {
  const kilobytes = /VmRSS:\s+(\d+) kB/.exec(readProc(`${pid}/status`))?.[1];
  return (Number(kilobytes ?? 0) * 1024) / 1e6;
}

/** Empty when the process is gone. */
function readProc(path: string): string {
  try {
    return readFileSync(`/proc/${path}`, 'utf8');
  } catch {
    return '';
  }
}
