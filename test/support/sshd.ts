import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { run } from '../../src/database/embedded-process.ts';
import { makeDataFolder } from './data-folder.ts';

/** A real sshd on 127.0.0.1, and a configuration with which `ssh` gets in. Works as root and as anybody else. */
export interface Sshd {
  /** For `ssh -F`, and FRAME_SSH_CONFIG. */
  configFile: string;
  port: number;
  /** How often somebody was let in. */
  logins(): number;
  /** Ends all connections now, as a lost network does; new ones are taken again. */
  drop(): Promise<void>;
  close(): Promise<void>;
}

export interface SshdOptions {
  /** Names of the one machine. Default `machine`. */
  aliases?: readonly string[];
  /** Names of machines where nobody answers. */
  dead?: readonly string[];
  /** known_hosts has another key than the one it shows (`changed`), or none (`unknown`). */
  hostKey?: 'known' | 'changed' | 'unknown';
  /** Any key is refused. */
  refuseKeys?: boolean;
  /** What the login has as its home folder. Default: an empty one, without the profile of whoever runs the tests. */
  loginHome?: string;
  /** Instead of the shell that the login has: `/usr/bin/fish`. */
  loginShell?: string;
  /** A command line of sshd_config that stands before what is asked for; `$SSH_ORIGINAL_COMMAND` has that. */
  forceCommand?: string;
}

const PROGRAM = '/usr/sbin/sshd';
export const HAS_SSHD = existsSync(PROGRAM);
/** For titles: says why when tests are skipped. */
export const SSHD = HAS_SSHD ? 'sshd' : `sshd (skipped: there is no ${PROGRAM})`;

export async function startSshd(options: SshdOptions = {}): Promise<Sshd> {
  const folder = await makeDataFolder();
  try {
    // As root, sshd wants the folder that its unit makes.
    if (process.getuid?.() === 0) await mkdir('/run/sshd', { recursive: true, mode: 0o755 });
    for (const name of ['host', 'other', 'client']) {
      await run({}, 'ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', name, '-f', join(folder, name)]);
    }
    const loginHome = options.loginHome ?? join(folder, 'login');
    if (options.loginHome === undefined) await mkdir(loginHome);
    const { child, port, said } = await listen(folder, { ...options, loginHome });
    const configFile = join(folder, 'ssh_config');
    await writeFile(configFile, await clientConfig(folder, port, options));
    return {
      configFile,
      port,
      logins: () => said.filter(line => line.startsWith('Accepted ')).length,
      drop: async () => kill(await childrenOf(child.pid)),
      async close() {
        const ended = once(child, 'exit');
        kill([child.pid, ...(await childrenOf(child.pid))]);
        await ended;
        await rm(folder, { recursive: true, force: true });
      },
    };
  } catch (thrown) {
    await rm(folder, { recursive: true, force: true });
    throw thrown;
  }
}

// Private

interface Listening {
  child: ChildProcess;
  port: number;
  /** Its log. */
  said: readonly string[];
}

/** sshd takes no port 0; the one that was free a moment ago may be somebody else's by now. */
async function listen(folder: string, options: SshdOptions): Promise<Listening> {
  for (let attempt = 1; ; attempt++) {
    const port = await freePort();
    await writeFile(join(folder, 'sshd_config'), serverConfig(folder, port, options), { mode: 0o600 });
    const child = spawn(PROGRAM, ['-D', '-e', '-f', join(folder, 'sshd_config')], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const said: string[] = [];
    const isListening = await new Promise<boolean>(resolve => {
      child.once('exit', () => resolve(false));
      createInterface({ input: child.stderr }).on('line', line => {
        said.push(line);
        if (line.startsWith('Server listening')) resolve(true);
      });
    });
    if (isListening) return { child, port, said };
    if (attempt === 5) throw new Error(`sshd does not start: ${said.join('\n')}`);
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (typeof address !== 'object' || address === null) throw new Error('No port.');
  return address.port;
}

function serverConfig(folder: string, port: number, options: SshdOptions): string {
  const { refuseKeys, loginHome, loginShell, forceCommand } = options;
  const command = forceCommand ?? (loginShell && `exec ${loginShell} -c "$SSH_ORIGINAL_COMMAND"`);
  return `
ListenAddress 127.0.0.1
Port ${port}
HostKey ${folder}/host
PidFile none
AuthorizedKeysFile ${refuseKeys ? 'none' : `${folder}/client.pub`}
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin yes
UsePAM no
# The folders of tests are below one that everybody may write to.
StrictModes no
MaxStartups 100
${loginHome ? `SetEnv HOME="${loginHome}"` : ''}
${command ? `ForceCommand ${command}` : ''}
`;
}

async function clientConfig(
  folder: string,
  port: number,
  { aliases = ['machine'], dead = [], hostKey = 'known' }: SshdOptions,
): Promise<string> {
  const key = await readFile(join(folder, hostKey === 'changed' ? 'other.pub' : 'host.pub'), 'utf8');
  const known = hostKey === 'unknown' ? [] : [...aliases, ...dead].map(alias => `${alias} ${key.trim()}\n`);
  await writeFile(join(folder, 'known_hosts'), known.join(''));
  // Port 1 of the loopback: nobody answers there.
  const hosts = [...aliases.map(alias => ({ alias, port })), ...dead.map(alias => ({ alias, port: 1 }))];
  return hosts
    .map(
      host => `
Host ${host.alias}
  HostName 127.0.0.1
  Port ${host.port}
  HostKeyAlias ${host.alias}
  User ${userInfo().username}
  IdentityFile ${folder}/client
  IdentitiesOnly yes
  IdentityAgent none
  UserKnownHostsFile ${folder}/known_hosts
  GlobalKnownHostsFile /dev/null
`,
    )
    .join('');
}

/** With those of the children: of one connection, sshd has two processes, and the second has the session. */
async function childrenOf(pid: number | undefined): Promise<number[]> {
  const text = await run({}, 'ps', ['-e', '-o', 'pid=,ppid=,comm=']);
  const all = text.split('\n').map(line => line.trim().split(/\s+/));
  const find = (parent: number): number[] =>
    all
      .filter(([, ppid, name]) => Number(ppid) === parent && name?.includes('sshd'))
      .flatMap(([child]) => [Number(child), ...find(Number(child))]);
  return pid === undefined ? [] : find(pid);
}

function kill(pids: readonly (number | undefined)[]): void {
  for (const pid of pids) {
    try {
      if (pid !== undefined) process.kill(pid, 'SIGKILL');
    } catch {
      // It ended by itself.
    }
  }
}
