import { rm } from 'node:fs/promises';
import { FrameError } from '../errors.ts';
import { makePassingFolder } from './agent/passing-folder.ts';
import { type Ended, lastLines, runProgram } from './program.ts';

/**
 * The only file that opens a connection to a customer's machine: the operator's own `ssh`, by its arguments. What the
 * login's shell there gets to read is a constant text; every value travels on standard input, as a line.
 */
export interface Ssh extends AsyncDisposable {
  destination: string;
  /**
   * Runs a script there. Lines of its output go to `onLine`, the payload to its standard input behind the values.
   * @returns with any exit code but 255
   * @throws FrameError `deploy/unreachable`
   */
  run<N extends string>(script: Script<N>, values: Readonly<Record<N, string>>, options?: RunOptions): Promise<Ended>;
}

export interface SshOptions {
  /** A name of the ssh configuration, or `user@host`. */
  destination: string;
  /** Instead of the operator's own configuration. */
  configFile?: string | undefined;
  /** Until the machine answers. Default 5. */
  connectSeconds?: number;
  /** Aborted: what runs is ended, and the reason is thrown. */
  signal?: AbortSignal | undefined;
}

export interface RunOptions {
  payload?: AsyncIterable<Uint8Array>;
  onLine?(line: string): void;
  /** Default 60. */
  timeoutSeconds?: number;
}

/** A constant text for `sh`, and the names of the values that it reads first. */
export interface Script<N extends string> {
  text: string;
  names: readonly N[];
}

/**
 * A script for another machine: script('home')`cd "$home" && …`. It begins in the home folder of the login. TypeScript
 * refuses a value inside the text; every login shell (sh, bash, zsh, fish, tcsh) hands the text to `sh` unchanged,
 * because it is one line in single quotes and has none of the letters that one of them would replace there.
 */
export function script<const N extends string>(...names: N[]): (text: TemplateStringsArray) => Script<N> {
  return ({ raw }) => {
    const reads = names.map(name => `IFS= read -r ${name} || exit ${CUT_SHORT};`);
    const lines = raw
      .join('')
      .split('\n')
      .map(line => line.trim());
    const text = ['cd || exit;', ...reads, ...lines].filter(Boolean).join(' ');
    if (/['\\!]/.test(text)) throw new Error(`A login shell would change this text: ${text}`);
    return { names, text: `exec sh -c '${text}'` };
  };
}

/** Opens nothing yet: the first script does, and the others share its connection. */
export async function openSsh({ destination, configFile, connectSeconds = 5, signal }: SshOptions): Promise<Ssh> {
  // Not below TMPDIR: the name of a socket has at most 104 bytes, and macOS spends half of them on that folder.
  const folder = await makePassingFolder('/tmp', 'frame-ssh-');
  const common = [...(configFile ? ['-F', configFile] : []), '-o', `ControlPath=${folder}/%C`];
  const options = [...OPTIONS, `ConnectTimeout=${Math.ceil(connectSeconds)}`].flatMap(option => ['-o', option]);
  return {
    destination,
    async run({ text, names }, values, { payload, onLine, timeoutSeconds = 60 } = {}) {
      const lines = names.map(name => toLine(name, values[name]));
      const ended = await runProgram('ssh', [...common, ...options, '-T', '--', destination, text], {
        input: send(lines, payload),
        timeoutSeconds,
        onLine,
        ...(signal && { signal }),
      });
      if (ended.timedOut) throw timedOut(destination, timeoutSeconds);
      if (ended.exit === 255 || ended.exit === null) throw unreachable(destination, ended.err, configFile);
      return ended;
    },
    async [Symbol.asyncDispose]() {
      await runProgram('ssh', [...common, '-O', 'exit', '--', destination], { timeoutSeconds: 5 }).catch(() => {});
      await rm(folder, { recursive: true, force: true });
    },
  };
}

// Private

const OPTIONS = [
  'BatchMode=yes',
  'StrictHostKeyChecking=yes',
  'ServerAliveInterval=5',
  'ServerAliveCountMax=3',
  'ControlMaster=auto',
  'ControlPersist=60',
  'LogLevel=ERROR',
  // Whatever the operator's configuration has for sessions at a keyboard.
  'RemoteCommand=none',
  'ClearAllForwardings=yes',
  'ForwardAgent=no',
  'ForwardX11=no',
  'PermitLocalCommand=no',
];

/** sysexits: input ended too early. */
const CUT_SHORT = 65;

/** `read` takes a line: a value with a second one would put words into the mouth of the next. */
function toLine(name: string, value: string): string {
  if (/[\n\0]/.test(value)) {
    throw new FrameError('deploy/refused', `${name} must not have a line break or a NUL: ${JSON.stringify(value)}.`);
  }
  return `${value}\n`;
}

async function* send(lines: readonly string[], payload?: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  yield Buffer.from(lines.join(''));
  if (payload) yield* payload;
}

function timedOut(destination: string, seconds: number): FrameError {
  return new FrameError('deploy/unreachable', `${destination} did not come to an end within ${seconds} s.`, {
    hint: 'What was begun there may go on. Look at it with `frame health`, then repeat the command.',
  });
}

/** By hand, the operator needs the same configuration. */
function unreachable(destination: string, said: string, configFile: string | undefined): FrameError {
  const reason = (lastLines(said) || 'the connection ended without a word').replace(/[^.!?]$/, '$&.');
  const hint = HINTS.find(({ pattern }) => pattern.test(said))?.hint ?? 'Try `ssh DESTINATION` by hand.';
  return new FrameError('deploy/unreachable', `${destination} cannot be reached: ${reason}`, {
    hint: hint
      .replaceAll('`ssh DEST', `\`ssh ${configFile ? `-F ${configFile} ` : ''}DEST`)
      .replaceAll('DESTINATION', destination),
  });
}

const HINTS = [
  {
    pattern: /REMOTE HOST IDENTIFICATION HAS CHANGED|host key .*revoked/i,
    hint:
      'Its host key is not the one that known_hosts has. Only when you know why (a new machine, a new system): compare ' +
      '`ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` at the machine itself, then `ssh-keygen -R DESTINATION` and ' +
      '`ssh DESTINATION` once by hand. Otherwise somebody may stand in between: stop here.',
  },
  {
    pattern: /host key .*known|Host key verification failed/i,
    hint: 'Nobody has met this machine yet: `ssh DESTINATION` once by hand, and compare its key before you say yes.',
  },
  {
    pattern: /Permission denied|Too many authentication failures/i,
    hint: 'It does not take your key: is the key loaded (`ssh-add -l`), and is it in authorized_keys of that login?',
  },
  {
    pattern: /user config file|Bad configuration option|terminating, \d+ bad/i,
    hint: 'Mend the ssh configuration; FRAME_SSH_CONFIG names it, when it is not your own.',
  },
  {
    pattern: /Could not resolve hostname/i,
    hint: 'Is `host` in customers.yaml right, and is this laptop in the tailnet (`tailscale status`)?',
  },
  {
    pattern: /timed out|No route to host|Network is unreachable|Connection refused/i,
    hint: 'Is the machine on, and are it and this laptop in the tailnet (`tailscale status`)?',
  },
];
