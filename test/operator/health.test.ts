import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { createDoctorCommand } from '../../src/operator/commands/doctor.ts';
import { createHealthCommand } from '../../src/operator/commands/health.ts';
import { createNetwork, type Network } from '../../src/operator/doctor/network.ts';
import { selfSigned } from '../support/self-signed.ts';
import { HAS_SSHD, SSHD, type Sshd, startSshd } from '../support/sshd.ts';
import { eventually, type Machine, makeMachine } from './agent/fixture.ts';
import { type Front, instead, startFront } from './doctor-front.ts';
import { run } from './fixture.ts';
import { type Mutes, startMutes } from './mutes.ts';
import { makeTailscale, peerOf, statusOf, tellStatus } from './tailscale.ts';

/** A whole machine behind real ssh and real TLS, and others that are not well in other ways. */
const ORIGIN = 'https://axe.example.com';
const CONNECT_SECONDS = 10;
const MAIN = join(import.meta.dirname, '../../src/main.ts');
const DAY_MS = 86_400_000;
const certificate = selfSigned('axe.example.com', { to: Date.now() + 60.5 * DAY_MS });

let machine: Machine;
let sshd: Sshd;
let changed: Sshd;
let mutes: Mutes;
let front: Front;
let folder: string;
let [first, second] = ['', ''];

describe.skipIf(!HAS_SSHD)(`frame health over ${SSHD}`, () => {
  beforeAll(async () => {
    [machine, sshd, changed, folder] = await Promise.all([
      makeMachine(),
      startSshd({ aliases: ['axe-mac', 'new-mac'], dead: ['dead-mac'] }),
      startSshd({ aliases: ['other-mac'], hostKey: 'changed' }),
      mkdtemp(join(tmpdir(), 'frame-health-')),
    ]);
    await symlink(process.execPath, join(machine.layout.home, 'bin/node'));
    mutes = await startMutes(2);
    front = await startFront(machine.ports.proxy, certificate);
    await layOutLaptop();
    first = await machine.release(1, speaking);
    second = await machine.release(2, speaking);
    await machine.deploy(first);
    await machine.deploy(second);
  }, 120_000);
  afterAll(async () => {
    await Promise.all([front, machine, mutes].map(part => part?.[Symbol.asyncDispose]()));
    await Promise.all([sshd, changed].map(part => part?.close()));
    await rm(folder, { recursive: true, force: true });
  });

  test('invariant 30: one machine that is well, as it really is', async () => {
    const { exit, out, err } = await health('axe');
    expect([exit, err]).toEqual([0, '']);
    const live = basename((await machine.live()) ?? '');
    expect(out.split('\n')[1]).toMatch(
      new RegExp(`^axe +ok +${live} +${second} +\\S+( \\S+)? +ready +ready +${live} +ok +\\S+ GB +ok +60 days +-$`),
    );
    const [row] = JSON.parse((await health('axe --json')).out);
    expect(row).toMatchObject({ customer: 'axe', state: 'ok', complaints: [] });
    expect(row.machine).toMatchObject({
      live,
      release: second,
      proxy: { status: 200, slot: live, release: second },
      lock: null,
      last: { verb: 'deploy', from: first, to: second, result: 'ok' },
    });
    for (const slot of ['blue', 'green'] as const) {
      const { release, pid, says } = row.machine.slots[slot];
      expect(release).toBe(basename((await machine.linked(slot)) ?? ''));
      expect(pid).toBe(machine.supervisor.pid(slot));
      expect(says).toMatchObject({ release, slot });
    }
    expect(row.public).toMatchObject({ origin: ORIGIN, ok: true, release: second, certificate: { days_left: 60 } });
  });

  test('invariant 13: the other slot dies: traffic is as before, and the slot is named', {
    timeout: 60_000,
  }, async () => {
    const idle = basename((await machine.live()) ?? '') === 'blue' ? 'green' : 'blue';
    await machine.behave(first, { ...speaking, crash: 1 });
    process.kill(machine.supervisor.pid(idle), 'SIGKILL');
    onTestFinished(async () => {
      await machine.behave(first, speaking);
      await eventually(
        async () =>
          (await fetch(`http://127.0.0.1:${machine.ports[idle]}/frame/ready`).catch(() => undefined))?.ok === true,
      );
    });
    await eventually(async () => (await health('axe --json')).exit === 1, 40_000);
    const { out, exit } = await health('axe');
    expect(exit).toBe(1);
    expect(out).toContain(`  ${idle}, the other slot,`);
    expect(out).toMatch(/^axe +degraded /m);
    expect(await machine.serving()).toBe(second);
  });

  test('the live slot loses its database: the check is named, here and from outside', async () => {
    await machine.behave(second, { ...speaking, ready: 503 });
    onTestFinished(() => machine.behave(second, speaking));
    const { out, exit } = await health('axe');
    expect(exit).toBe(1);
    expect(out).toMatch(/^axe +degraded .* not ready .* no database /m);
    expect(out).toContain('says that it fails: database.\n      frame slot status axe');
    expect(out).toContain('(database).\n      frame doctor axe');
  });

  test('a lock that somebody left behind, with words that are no words', async () => {
    const holder = {
      token: 'x',
      pid: 2 ** 22 + 1,
      started: 'never',
      verb: 'deploy',
      by: 'eve\u001b[31m',
      at: '2026-11-20T00:00:00Z',
    };
    await writeFile(machine.layout.lock, JSON.stringify(holder));
    onTestFinished(() => rm(machine.layout.lock));
    for (const line of ['axe', 'axe --json']) {
      const { out, exit } = await health(line);
      expect(exit).toBe(1);
      expect(out).toContain('left a lock behind');
      expect(out).not.toContain('\u001b');
    }
  });

  test('no slot is live', async () => {
    const link = (await machine.live()) ?? '';
    await rm(machine.layout.live);
    onTestFinished(() => symlink(link, machine.layout.live));
    const { out, exit } = await health('axe');
    expect(exit).toBe(1);
    expect(out).toContain('No slot is live');
    expect(out).toContain('The proxy on the machine answers, and no slot is live.');
  });

  test('from outside, Cloudflare without a tunnel', async () => {
    front.change(undefined, instead(530, { server: 'cloudflare' }, 'error code: 1033'));
    onTestFinished(() => front.restore());
    const { out, exit } = await health('axe');
    expect(exit).toBe(1);
    expect(out).toContain('no cloudflared of it is connected');
    expect(out).toMatch(/^axe +degraded .* ready +ready .* 530 +60 days /m);
  });

  test.each([
    ['that ended', -1, 'The certificate ended on'],
    ['that ends soon', 3.5, 'Its certificate ends in 3 days'],
  ])('from outside, a certificate %s', async (_, days, sentence) => {
    const shown = selfSigned('axe.example.com', { from: 0, to: Date.now() + days * DAY_MS });
    front.show(shown);
    onTestFinished(() => front.restore());
    const { out, exit } = await health('axe', {}, shown.cert);
    expect(exit).toBe(1);
    expect(out).toContain(sentence);
  });

  test('the tailnet is shown where tailscale is, and a key that ends there', async () => {
    const peer = peerOf('axe-mac', { KeyExpiry: new Date(Date.now() + 3 * DAY_MS).toISOString() });
    await using tailscale = await makeTailscale(tellStatus(statusOf([peer, peerOf('axe-mac-1', { Online: false })])));
    const { out, exit } = await health('axe', tailscale.env);
    expect(exit).toBe(1);
    expect(out).toMatch(/^axe .* online$/m);
    expect(out).toContain('Its key in the tailnet ends on');
  });

  test('a tailscale that hangs holds up nobody', async () => {
    await using tailscale = await makeTailscale('exec sleep 60');
    const { exit, err } = await health('axe', tailscale.env);
    expect([exit, err]).toEqual([0, 'tailscale did not answer within 3 s.']);
  });

  test('invariants 23 and 29: whoever cannot be reached hides nobody, and holds nobody up', async () => {
    const { out, exit } = await health('--json');
    // One is waited for while another one is, so it all takes as long as one of them.
    expect(mutes.mostAtOnce()).toBe(2);
    expect(exit).toBe(2);
    const rows: { customer: string; state: string; complaints: { sentence: string }[] }[] = JSON.parse(out);
    expect(rows.map(({ customer, state }) => [customer, state])).toEqual([
      ['axe', 'ok'],
      ['dead', 'unreachable'],
      ['mute', 'unreachable'],
      ['silent', 'unreachable'],
      ['fresh', 'degraded'],
      ['moved', 'unreachable'],
    ]);
    const [, dead, mute, silent, fresh, moved] = rows.map(({ complaints }) => complaints[0]?.sentence);
    expect(dead).toContain('Connection refused');
    for (const late of [mute, silent]) {
      expect(late).toMatch(new RegExp(`timed out|no answer within ${CONNECT_SECONDS + 2} s`));
    }
    expect(fresh).toContain('frame provision fresh');
    expect(moved).toContain('Host key verification failed');
  });

  test('one that answers and then hangs holds up no process: what was begun is ended with it', async () => {
    // Until its connection ends.
    const hang = 'while kill -0 $PPID; do sleep 0.2; done';
    const answer = 'exec sh -c "$SSH_ORIGINAL_COMMAND"';
    const forceCommand = `case "$SSH_ORIGINAL_COMMAND" in *NODE_COMPILE_CACHE*) ${hang};; *) ${answer};; esac`;
    const slow = await startSshd({ aliases: ['dead-mac'], forceCommand });
    onTestFinished(() => slow.close());
    await symlink(machine.layout.home, join(folder, 'homes/dead'));
    onTestFinished(() => rm(join(folder, 'homes/dead')));
    const child = spawn(process.execPath, [MAIN, 'health', 'dead', '--json'], {
      cwd: folder,
      env: { ...environment(), FRAME_SSH_CONFIG: slow.configFile },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    onTestFinished(() => void child.kill('SIGKILL'));
    const [out, [exit]] = await Promise.all([text(child.stdout), once(child, 'exit')]);
    expect(exit).toBe(1);
    expect(JSON.parse(out)).toMatchObject([
      {
        state: 'degraded',
        complaints: [{ sentence: expect.stringMatching(/^dead-mac was reached, and gave no answer/) }],
      },
    ]);
    const { stdout } = await promisify(execFile)('ps', ['-e', '-ww', '-o', 'args=']);
    expect(stdout.split('\n').filter(line => line.includes(slow.configFile))).toEqual([]);
  });

  test('frame doctor asks the machine too, and tells its faults from those before it', async () => {
    front.change(undefined, instead(530, { server: 'cloudflare' }, 'error code: 1033'));
    onTestFinished(() => front.restore());
    const doctor = createDoctorCommand({ ca: certificate.cert });
    const { out, exit } = await run(doctor, folder, `axe --connect 127.0.0.1:${front.port}`, environment());
    expect(exit).toBe(1);
    const [last, mend] = out.split('\n').slice(-2);
    expect(last).toMatch(/^The first broken step is gateway\. .*1033/);
    expect(mend).toMatch(/^→ .*cloudflared/);
    const live = basename((await machine.live()) ?? '');
    expect(out).toContain(
      `On itself it is well: ${live} is live with ${second}, and the proxy leads there. So the fault lies before it`,
    );
  });

  test('colours are for a terminal, and for whoever wants them', async () => {
    const painted = async (outIsTerminal: boolean, env: NodeJS.ProcessEnv = {}) => {
      const lines: string[] = [];
      const io = {
        env: { ...environment(), ...env },
        cwd: folder,
        stdin: process.stdin,
        isTerminal: true,
        outIsTerminal,
      };
      const out = (line: string) => void lines.push(line);
      await createHealthCommand(network()).run(['dead'], { ...io, out, err: () => {}, status: () => {} });
      return lines.join('\n');
    };
    expect(await painted(true)).toContain('dead      \u001b[31munreachable\u001b[0m');
    expect(await painted(true, { NO_COLOR: '1' })).not.toContain('\u001b');
    expect(await painted(false)).not.toContain('\u001b');
  });

  test('only those that are named', async () => {
    const { out, exit } = await health('dead axe --json');
    expect(JSON.parse(out).map(({ customer }: { customer: string }) => customer)).toEqual(['dead', 'axe']);
    expect(exit).toBe(2);
  });

  test.each([
    ['a slip', 'axi', 'did you mean `axe`?'],
    ['a customer without a machine', 'cloud', 'has no `host`'],
    ['an option that is none', '--al', '--al'],
  ])('wrong usage: %s', async (_, line, sentence) => {
    expect(await health(line)).toMatchObject({ exit: 2, out: '', err: expect.stringContaining(sentence) });
  });
});

// As the gateway, it says whose it is; and nothing about the slot that would not be true.
const speaking = { claims: { customer: 'axe', slot: undefined } };

function health(line: string, env: NodeJS.ProcessEnv = {}, ca = certificate.cert) {
  return run(createHealthCommand(network(ca)), folder, line, { ...environment(), ...env });
}

function network(ca = certificate.cert): Network {
  return createNetwork({ detour: { origin: ORIGIN, host: '127.0.0.1', port: front.port }, ca });
}

function environment(): NodeJS.ProcessEnv {
  return { PATH: process.env.PATH, FRAME_SSH_CONFIG: join(folder, 'ssh_config') };
}

/** Its configuration, and the homes of the machines by customer. */
async function layOutLaptop(): Promise<void> {
  const homes = join(folder, 'homes');
  await mkdir(homes);
  await symlink(machine.layout.home, join(homes, 'axe'));
  await mkdir(join(folder, 'config'));
  for (const name of ['gateway.yaml', 'roles.yaml']) {
    await symlink(join(import.meta.dirname, '../../config', name), join(folder, 'config', name));
  }
  const limits = `home: ${homes}/{customer}\nmin_free_megabytes: 1\nsteps: { connect_seconds: ${CONNECT_SECONDS} }\n`;
  await writeFile(join(folder, 'config/deploy.yaml'), limits);
  const known = await Promise.all([sshd, changed].map(({ configFile }) => readFile(configFile, 'utf8')));
  await writeFile(
    join(folder, 'ssh_config'),
    `${known.join('')}\n${mutes.ports.map((port, i) => `Host mute-mac-${i}\n  HostName 127.0.0.1\n  Port ${port}\n`).join('')}`,
  );
  const hosts = {
    axe: 'axe-mac',
    dead: 'dead-mac',
    mute: 'mute-mac-0',
    silent: 'mute-mac-1',
    fresh: 'new-mac',
    moved: 'other-mac',
    cloud: '',
  };
  const entries = Object.entries(hosts).map(([id, host], i) => entryOf(id, host, i));
  await writeFile(join(folder, 'customers.yaml'), `customers:\n${entries.join('')}`);
}

function entryOf(id: string, host: string, number: number): string {
  return `  ${id}:
    name: ${id}
${id === 'axe' ? `    origin: ${ORIGIN}\n` : ''}${host === '' ? '' : `    host: ${host}\n`}    domains: [${id}.example]
    entra: { tenant_id: 122fb574-0000-4000-8000-00000000000${number}, audience: [a], scope: x, client_secret: "\${SECRET}" }
    sign_in: direct
    entities: { ${id}: { name: ${id} } }
    access: [{ who: "*@${id}.example", role: view }]
`;
}
