import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { Customer } from '../../customers/customer.ts';
import { FrameError } from '../../errors.ts';
import { digestOf } from '../agent/manifest.ts';
import { lastLines } from '../program.ts';
import { type Platform, platformOf } from '../release/platform.ts';
import { openSsh, type Script, type Ssh, type SshOptions, script } from '../ssh.ts';
import { compress } from './tar.ts';

/** A customer's machine, reached: nothing of Frame needs to be there yet. */
export interface Machine extends AsyncDisposable {
  customer: Customer;
  platform: Platform;
  ssh: Ssh;
  /** Frame's folder there, as a path that no `cd` takes for anything else. */
  home: string;
  /** A Node that may run an agent. */
  hasNode(): boolean;
  /** The agent of this name, when the machine was reached. */
  hasAgent(name: string): boolean;
  /**
   * Puts a Node at `<home>/bin/node`, whole and tried, or not at all; nothing to do when it is that very one.
   * @param file made for `platform`
   */
  sendNode(file: string, onProgress?: (sentBytes: number, totalBytes: number) => void): Promise<{ sent: boolean }>;
}

export interface MachineOptions {
  customer: Customer;
  /** Frame's folder there, seen from the home folder of the login: `home` of deploy.yaml. */
  home: string;
  ssh?: Omit<SshOptions, 'destination'>;
}

/** @throws FrameError `deploy/unreachable`; `deploy/refused` for what Frame does not run on */
export async function openMachine({ customer, home, ssh: options }: MachineOptions): Promise<Machine> {
  if (!customer.host) {
    throw new FrameError('deploy/refused', `customers.yaml names no machine for ${customer.id}.`, {
      hint: 'Add `host:` with the ssh destination of its machine.',
    });
  }
  const ssh = await openSsh({ ...options, destination: customer.host });
  const place = { ssh, home: home.startsWith('/') ? home : `./${home}` };
  try {
    const { platform, found } = await greet(place);
    return {
      ...place,
      customer,
      platform,
      hasNode: () => found.has(NODE),
      hasAgent: name => found.has(`frame-agent agent/${name}/main.ts`),
      async sendNode(file, onProgress) {
        const sent = await sendNode(place, file, onProgress);
        found.add(NODE);
        return sent;
      },
      [Symbol.asyncDispose]: () => ssh[Symbol.asyncDispose](),
    };
  } catch (thrown) {
    await ssh[Symbol.asyncDispose]();
    throw thrown;
  }
}

/**
 * Runs what can only succeed. `failure` is the sentence when it does not: `The agent cannot be put there`.
 * @throws FrameError `deploy/failed` with the last line of what it complained about
 */
export async function runOrFail<N extends string>(
  ssh: Ssh,
  failure: string,
  ...[words, values, options]: Parameters<typeof ssh.run<N>>
): Promise<void> {
  const { exit, err } = await ssh.run(words, values, options);
  if (exit === 0) return;
  // The last word of tar is that it has said why before.
  const said = err.replaceAll(/^tar: (Exiting with failure|Error is not recoverable|Error exit delayed).*$/gm, '');
  throw new FrameError('deploy/failed', `${failure} (${ssh.destination}): ${lastLines(said) || `exit code ${exit}`}`);
}

/** Unique among all who work on the machine now. */
export function freshToken(): string {
  return randomBytes(8).toString('hex');
}

// Private

const NODE = 'frame-node';

/** Everything that is asked of every machine, in one go. A login profile may print before it, even without an end of line. */
const GREETING = script('home')`
  echo; echo "frame-platform $(uname -s) $(uname -m)";
  cd "$home" 2>/dev/null || exit 0;
  [ -x bin/node ] && echo frame-node;
  for main in agent/*/main.ts; do echo "frame-agent $main"; done; exit 0`;

const DIGEST = script('home')`
  cd "$home/bin" 2>/dev/null && [ -x node ] || exit 0;
  echo; echo "frame-digest $( (sha256sum node || shasum -a 256 node) 2>/dev/null )"`;

const SEND_NODE = script('home', 'digest', 'token')`
  umask 022; mkdir -p "$home/bin" && cd "$home/bin" || exit 1;
  fresh="node.$token"; trap "rm -f $fresh" EXIT;
  gzip -dc >"$fresh" || exit 1;
  case "$( (sha256sum "$fresh" || shasum -a 256 "$fresh") 2>/dev/null )" in
    "$digest "*) ;;
    *) echo "it did not arrive as it was sent" >&2; exit 1 ;;
  esac;
  chmod 755 "$fresh" && "./$fresh" --version >/dev/null && sync && mv -f "$fresh" node`;

type Place = Pick<Machine, 'ssh' | 'home'>;

async function greet({ ssh, home }: Place): Promise<{ platform: Platform; found: Set<string> }> {
  const found = await hear(ssh, 'It cannot be asked what it is', GREETING, { home });
  const said = [...found].find(line => line.startsWith('frame-platform '))?.slice('frame-platform '.length) ?? '';
  const [system = '', machine = ''] = said.split(' ');
  const platform = platformOf(system, machine);
  if (platform) return { platform, found };
  throw new FrameError('deploy/refused', `Frame does not run on ${ssh.destination}: it says it is \`${said}\`.`, {
    hint: 'Frame brings its own Node for Linux (x64, arm64) and macOS (arm64).',
  });
}

async function digestOfNode({ ssh, home }: Place): Promise<string | undefined> {
  const said = [...(await hear(ssh, 'Its Node cannot be looked at', DIGEST, { home }))].join('\n');
  return /^frame-digest ([0-9a-f]{64}) /m.exec(said)?.[1];
}

/** All lines; those that are meant for us begin with `frame-`. */
async function hear<N extends string>(
  ssh: Ssh,
  failure: string,
  words: Script<N>,
  values: Readonly<Record<N, string>>,
): Promise<Set<string>> {
  const heard = new Set<string>();
  await runOrFail(ssh, failure, words, values, { onLine: line => void heard.add(line) });
  return heard;
}

async function sendNode(
  { ssh, home }: Place,
  file: string,
  onProgress: (sentBytes: number, totalBytes: number) => void = () => {},
): Promise<{ sent: boolean }> {
  const { size } = await stat(file);
  const [digest, there] = await Promise.all([digestOf(file, size), digestOfNode({ ssh, home })]);
  if (there === digest) return { sent: false };
  let sent = 0;
  async function* read(): AsyncIterable<Uint8Array> {
    for await (const chunk of createReadStream(file)) {
      yield chunk;
      sent += chunk.length;
      onProgress(sent, size);
    }
  }
  const payload = compress(read());
  const values = { home, digest, token: freshToken() };
  await runOrFail(ssh, 'Node cannot be put there', SEND_NODE, values, { payload, timeoutSeconds: SEND_SECONDS });
  return { sent: true };
}

const SEND_SECONDS = 1_800;
