import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { layoutOf } from '../../src/operator/agent/layout.ts';
import { takeLock } from '../../src/operator/agent/lock.ts';
import { provisionCommand } from '../../src/operator/commands/provision.ts';
import { changed } from '../customers/fixture.ts';
import { asOwner, type OwnPostgres, startOwnPostgres } from '../support/postgres.ts';
import { HAS_SSHD, SSHD, type Sshd, startSshd } from '../support/sshd.ts';
import { makeFolder, run } from './fixture.ts';
import { CADDYFILE } from './provision-machine.ts';

const CUSTOMERS = changed('host: axe-macmini', 'host: machine')
  .replace('      scope: access_as_user\n    sign_in: direct', SIGN_IN())
  .replace('    domains: [nordwind.example]', '    host: dead\n    domains: [nordwind.example]');

let folder: Awaited<ReturnType<typeof makeFolder>>;
let own: OwnPostgres;
beforeAll(async () => {
  folder = await makeFolder();
  await writeFile(join(folder.path, 'customers.yaml'), CUSTOMERS);
  own = await startOwnPostgres();
});
afterAll(async () => {
  await own.remove();
  await folder[Symbol.asyncDispose]();
});

let env: NodeJS.ProcessEnv = {};
const provision = (line: string, more: NodeJS.ProcessEnv = {}) =>
  run(provisionCommand, folder.path, line, { ...env, ...more });

describe('a plan for a machine that nobody reaches', () => {
  beforeAll(() => {
    env = { FRAME_SSH_CONFIG: '/dev/null' };
  });
  const plan = (line: string, more: NodeJS.ProcessEnv = {}) => provision(`${line} --dry-run`, more);

  test('shows every file, whole, and what is to be done by hand', async () => {
    const { exit, out } = await plan('axe --customers customers.yaml', { AXE_SECRET: 'canary-1' });
    expect(exit).toBe(0);
    const shown = filesIn(out);
    expect(Object.keys(shown)).toEqual([
      'proxy/Caddyfile',
      'proxy/services.caddy',
      'bin/run-slot',
      'bin/run-proxy',
      'bin/rotate-logs',
      'units/ai.frame.blue.plist',
      'units/ai.frame.green.plist',
      'units/ai.frame.proxy.plist',
      'units/ai.frame.logs.plist',
      'state/host.json',
      'shared/master.key',
      'shared/env',
      'shared/customers.yaml',
    ]);
    expect(shown['bin/run-slot']).toBe(await readFile(join(AGENT, 'run-slot.sh'), 'utf8'));
    expect(shown['proxy/Caddyfile']).toBe(await readFile(CADDYFILE, 'utf8'));
    expect(shown['units/ai.frame.blue.plist']).toContain('<string>/Users/frame/frame/bin/run-slot</string>');
    expect(parse(shown['shared/customers.yaml'] ?? '').customers.axe.name).toBe('AXE LLC');
    expect(parseEnv(shown['shared/env'] ?? '')).toEqual({
      FRAME_CUSTOMER: 'axe',
      FRAME_DATABASE_URL: '…',
      AXE_SECRET: '…',
    });
    expect(out).toMatch(/The machine was not asked \(.+\); its folder and login are a guess\./);
    expect(out).toContain(
      'az ad app update --id 6f0c0000-0000-4000-8000-00000000000a --web-redirect-uris https://axe.example/callback/entra',
    );
    expect(out).toContain("ssh machine 'tar -C /Users/frame/frame -cf - shared' > axe-keys.tar");
    expect(out).toContain('fdesetup status');
    expect(out).toContain('sudo launchctl bootstrap system');
    expect(out).toContain(INGRESS);
  });

  test('has no secret in it, wherever one was written', async () => {
    const literal = changed(`"\${AXE_SECRET}"`, 'canary-2', CUSTOMERS);
    await writeFile(join(folder.path, 'literal.yaml'), literal);
    const secrets = { AXE_SECRET: 'canary-3', FRAME_DATABASE_URL: 'postgres://postgres:canary-4@127.0.0.1/postgres' };
    for (const file of ['literal.yaml', 'customers.yaml']) {
      for (const json of ['', '--json']) {
        const { exit, out, err } = await plan(`axe --customers ${file} ${json}`, secrets);
        expect([exit, (out + err).match(/canary-\d/)]).toEqual([0, null]);
      }
    }
  });

  test('is JSON for programs', async () => {
    const { out } = await plan('nordwind --json --supervisor systemd --ports 4710,4711,4712');
    const json = JSON.parse(out);
    expect(json).toMatchObject({
      customer: 'nordwind',
      host: 'dead',
      ports: { blue: 4710, green: 4711, proxy: 4712 },
      supervisor: 'systemd',
      changed: null,
      left: [{ sentence: expect.stringContaining('systemd') }],
      unasked: expect.any(String),
    });
    expect(parse(json.ingress)).toEqual({
      ingress: [
        {
          hostname: 'nordwind.example',
          service: 'http://127.0.0.1:4712',
          originRequest: { keepAliveTimeout: '90s', connectTimeout: '10s' },
        },
        { service: 'http_status:404' },
      ],
    });
    const names = json.files.map(({ name }: { name: string }) => name);
    expect(names).toEqual(expect.arrayContaining(['units/frame-logs.timer', 'state/host.json']));
    // Its people sign in at Entra itself: nothing to register there.
    expect(json.by_hand.map(({ sentence }: { sentence: string }) => sentence).join()).not.toContain('redirect');
  });
});

describe('what cannot be', () => {
  test.each([
    ['', /A word is missing: <customer>\./],
    ['axe nordwind', /one word too many/],
    ['ax', /no customer `ax`/],
    ['axe --ports 1,2,3', /above 1023/],
    ['axe --ports 4000,4000,4001', /different/],
    ['axe --ports 4000,4001', /three/],
    ['axe --ports 4000,4001,4002,4003', /three/],
    ['axe --ports 4000,x,4002', /three/],
    ['axe --ports=-1,4001,4002', /three/],
    ['axe --supervisor pm2', /launchd, systemd or none/],
  ])('`provision %s` is wrong usage', async (line, sentence) => {
    expect(await provision(line)).toMatchObject({ exit: 2, out: '', err: expect.stringMatching(sentence) });
  });

  test.each([
    ['    origin: https://axe.example\n', '', /`axe` has no `origin`/],
    ['AXE_SECRET', 'FRAME_DATABASE_URL', /names with FRAME_ are Frame's own/],
    ['vault: 127', 'frame: 127', /`frame` is a name that Frame needs itself/],
    ['vault: 127', 'api: 127', /`api` is a name/],
    ['vault: 127', 'token: 127', /`token` is a name/],
    ['vault: 127', '.well-known: 127', /`\.well-known` must be/],
    ['vault: 127', '"../x": 127', /must be 1 to 31/],
    ['vault: 127.0.0.1:8443', 'vault: "127.0.0.1:8443 { }"', /must be host:port/],
  ])('%j replaced by %j is wrong configuration', async (passage, replacement, sentence) => {
    await writeFile(join(folder.path, 'wrong.yaml'), changed(passage, replacement, CUSTOMERS));
    const { exit, out, err } = await provision('axe --dry-run --customers wrong.yaml');
    expect({ exit, out }).toEqual({ exit: 2, out: '' });
    expect(err).toMatch(sentence);
  });
});

describe.skipIf(!HAS_SSHD)(`over ${SSHD}`, () => {
  let sshd: Sshd;
  let login: string;
  beforeAll(async () => {
    login = await mkdtemp(join(tmpdir(), 'frame-login-'));
    sshd = await startSshd({ loginHome: login, dead: ['dead'] });
    env = { FRAME_SSH_CONFIG: sshd.configFile, FRAME_DATABASE_URL: own.url.reveal(), AXE_SECRET: 'canary' };
  });
  afterAll(async () => {
    await sshd.close();
    await rm(login, { recursive: true, force: true });
    env = {};
  });

  test('a dry run of a machine that has nothing leaves it so', async () => {
    const { exit, out } = await provision('axe --dry-run --supervisor none');
    expect({ exit, isThere: existsSync(join(login, 'frame')) }).toEqual({ exit: 0, isThere: false });
    expect(out).toContain('nothing of Frame is on it yet');
  });

  test('a machine from nothing, with nothing said that is secret', { timeout: 120_000 }, async () => {
    const { exit, out, err } = await provision('axe --supervisor none --ports 4710,4711,4712');
    expect({ exit, err }).toMatchObject({
      exit: 0,
      err: expect.stringMatching(/^axe {2}connect .*\n(.*\n)*axe {2}node/),
    });
    const layout = layoutOf(join(login, 'frame'));
    const url = parseEnv(await readFile(layout.env, 'utf8')).FRAME_DATABASE_URL ?? '';
    const key = (await readFile(layout.masterKey, 'utf8')).trim();
    const secrets = ['canary', new URL(url).password, new URL(own.url.reveal()).password, key];
    for (const secret of secrets) expect([secret, (out + err).includes(secret)]).toEqual([secret, false]);
    expect(out).toContain(`axe on machine: ${layout.home} of `);
    expect(out).toContain('\nChanged:\n  state  created\n');
    expect(out).toContain('  database frame_axe  created\n');
    expect(out).toContain(`       sh ${layout.home}/bin/run-slot blue 4710\n`);
    expect(out).toContain('service: http://127.0.0.1:4712 ');
    expect(parse(await readFile(layout.customers, 'utf8'))).toEqual({
      customers: { axe: parse(CUSTOMERS).customers.axe },
    });
    expect(await readFile(layout.services, 'utf8')).toContain('reverse_proxy 127.0.0.1:8443 {');
    expect((await stat(layout.node)).mode & 0o111).toBe(0o111);
  });

  test('a second time nothing changes, and nothing of the first time is forgotten', async () => {
    for (const line of ['axe', 'axe --dry-run']) {
      const { exit, out } = await run(provisionCommand, folder.path, line, { FRAME_SSH_CONFIG: sshd.configFile });
      expect(exit).toBe(0);
      expect(out).toMatch(line === 'axe' ? /^Nothing changed\.$/m : /^Nothing would change\.$/m);
      expect(out).toContain('none, ports 4710 4711 4712');
    }
  });

  test('a dry run shows what would change, by the machine’s own words', async () => {
    await writeFile(
      join(folder.path, 'more.yaml'),
      changed('stream: 127.0.0.1:8780', 'stream: 127.0.0.1:8781', CUSTOMERS),
    );
    const { out } = await provision('axe --dry-run --json --customers more.yaml');
    const json = JSON.parse(out);
    expect(json).toMatchObject({
      home: join(login, 'frame'),
      changed: ['proxy/services.caddy  changed', 'shared/customers.yaml  changed'],
    });
    expect(json.unasked).toBeUndefined();
  });

  test('the machine of another customer is refused', async () => {
    await writeFile(join(folder.path, 'slip.yaml'), changed('host: dead', 'host: machine', CUSTOMERS));
    const { exit, out, err } = await provision('nordwind --customers slip.yaml');
    expect({ exit, out }).toEqual({ exit: 2, out: '' });
    expect(err).toMatch(/^nordwind: refused: This machine is that of `axe`.*\n {2}Mend `host`/m);
  });

  test('a machine that does not answer', async () => {
    const { exit, out, err } = await provision('nordwind');
    expect({ exit, out }).toEqual({ exit: 2, out: '' });
    expect(err).toMatch(/^nordwind: unreachable: /m);
  });

  test('--json: a failure is a document too', async () => {
    const { exit, out } = await provision('nordwind --json');
    expect(exit).toBe(2);
    expect(JSON.parse(out)).toEqual({
      customer: 'nordwind',
      host: 'dead',
      result: 'unreachable',
      failure: { code: 'deploy/unreachable', message: expect.any(String), hint: expect.any(String) },
    });
  });

  test('where somebody works it is 75, naming whom; --force takes the lock', async () => {
    const lock = await takeLock(layoutOf(join(login, 'frame')).lock, { verb: 'deploy', by: 'eve@laptop' });
    const refused = await provision('axe');
    expect(refused).toMatchObject({ exit: 75, out: '' });
    expect(refused.err).toMatch(/^axe: locked: eve@laptop holds the lock of this machine: `deploy`.*\n.*--force/m);
    expect((await provision('axe --dry-run')).exit).toBe(0);
    expect(await provision('axe --force')).toMatchObject({ exit: 0, err: expect.stringContaining('eve@laptop') });
    expect(await lock.isHeld()).toBe(false);
  });

  test('Ctrl-C says what that means', async () => {
    const child = spawn(process.execPath, [MAIN, 'provision', 'axe'], {
      cwd: folder.path,
      env: { PATH: process.env.PATH, ...env },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let err = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      err += text;
      if (text.includes('connect')) child.kill('SIGINT');
    });
    const [exit] = await once(child, 'close');
    expect([exit, err]).toEqual([
      130,
      expect.stringMatching(/\nLeft\. What the machine has begun it brings to its end; .+\n$/),
    ]);
  });

  test('Postgres that went away is left to do, and the machine stays as it was', async () => {
    await asOwner(own.server, 'postgres', "alter role frame password 'another'");
    const { exit, out } = await provision('axe');
    expect(exit).toBe(0);
    expect(out).toContain('Nothing changed.');
    expect(out).toMatch(/FRAME_DATABASE_URL of shared\/env does not serve \(.*password authentication failed/);
  });
});

const AGENT = join(import.meta.dirname, '../../src/operator/agent');
const MAIN = join(import.meta.dirname, '../../src/main.ts');

const INGRESS = `  ingress:
    - hostname: axe.example
      service: http://127.0.0.1:3712    # cloudflared in Docker Desktop: http://host.docker.internal:3712
      originRequest: { keepAliveTimeout: 90s, connectTimeout: 10s }
    - service: http_status:404`;

function SIGN_IN(): string {
  return `      scope: access_as_user
      client_id: 6f0c0000-0000-4000-8000-00000000000a
      client_secret: "\${AXE_SECRET}"
    sign_in: broker`;
}

/** Name → text, of a dry run's output. */
function filesIn(out: string): Record<string, string> {
  const [text = ''] = out.split('\n\nOnce, by hand');
  const parts = text.split(/^==> (\S+) \(\d+\)\n/m);
  const names = parts.filter((_, i) => i % 2 === 1);
  return Object.fromEntries(names.map((name, i) => [name, `${parts[2 * i + 2]?.trimEnd()}\n`]));
}
