import { open } from 'node:fs/promises';

/** What a machine is, as Node names it. */
export interface Platform {
  os: 'linux' | 'darwin';
  cpu: 'x64' | 'arm64';
}

export function nameOf({ os, cpu }: Platform): string {
  return `${os}-${cpu}`;
}

/** From the two words that `uname -s` and `uname -m` say; undefined for what Frame brings no Node for. */
export function platformOf(system: string, machine: string): Platform | undefined {
  const os = SYSTEMS.get(system);
  const cpu = MACHINES.get(machine);
  return os && cpu && !(os === 'darwin' && cpu === 'x64') ? { os, cpu } : undefined;
}

/** What a program was made for, by its first bytes: ELF, or Mach-O of one architecture. */
export async function platformOfProgram(file: string): Promise<string | undefined> {
  const head = Buffer.alloc(20);
  await using handle = await open(file);
  await handle.read(head, 0, head.length, 0);
  if (head.readUInt32BE(0) === ELF) return name('linux', ELF_CPU.get(head.readUInt16LE(18)));
  if (head.readUInt32LE(0) === MACH_O) return name('darwin', MACH_O_CPU.get(head.readUInt32LE(4)));
  return undefined;
}

// Private

const name = (os: Platform['os'], cpu: Platform['cpu'] | undefined) => cpu && nameOf({ os, cpu });

const SYSTEMS = new Map<string, Platform['os']>([
  ['Linux', 'linux'],
  ['Darwin', 'darwin'],
]);
const MACHINES = new Map<string, Platform['cpu']>([
  ['x86_64', 'x64'],
  ['amd64', 'x64'],
  ['aarch64', 'arm64'],
  ['arm64', 'arm64'],
]);

const ELF = 0x7f454c46;
const ELF_CPU = new Map<number, Platform['cpu']>([
  [62, 'x64'],
  [183, 'arm64'],
]);
const MACH_O = 0xfeedfacf;
const MACH_O_CPU = new Map<number, Platform['cpu']>([
  [0x01000007, 'x64'],
  [0x0100000c, 'arm64'],
]);
