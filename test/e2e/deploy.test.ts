import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { layoutOf } from '../../src/operator/agent/layout.ts';
import type { HistoryLine } from '../../src/operator/agent/protocol.ts';
import { type Caddy, startCaddy } from '../support/caddy.ts';
import { failuresOf, type Kind, type RunningLoad, startLoad } from '../support/flip-load.ts';
import { freePorts } from '../support/frame-process.ts';
import { type OwnPostgres, startOwnPostgres } from '../support/postgres.ts';
import { HAS_SSHD, SSHD } from '../support/sshd.ts';
import { type Supervisor, supervise } from '../support/supervisor.ts';
import { AXE, createCompanies, PEOPLE } from './companies.ts';
import { type Laptop, makeLaptop } from './laptop.ts';
import { rpc } from './wire.ts';

/**
 * The operator's whole way on real parts: a clone with git and npm, ssh to a machine that has nothing, Postgres, Caddy,
 * two real gateways, and people at work all the while.
 */
const CADDY = '/usr/bin/caddy';
const HAS_ALL = HAS_SSHD && existsSync(CADDY);
const TITLE = HAS_ALL ? 'a company with people at work' : `a company (skipped: needs ${SSHD} and Caddy)`;
const CYCLES = 10;

describe.skipIf(!HAS_ALL)(TITLE, () => {
  const entra = createCompanies();
  let laptop: Laptop;
  let postgres: OwnPostgres;
  let home: string;
  let caddy: Caddy;
  let slots: Supervisor;
  let token: string;
  let origin: string;
  let first: number;

  beforeAll(async () => {
    [laptop, postgres] = await Promise.all([makeLaptop('axe-mac'), startOwnPostgres()]);
    home = join(await mkdtemp(join(tmpdir(), 'frame-mac-')), 'frame');
    first = await freePorts();
    origin = `http://127.0.0.1:${first + 2}`;
    await laptop.write('customers.yaml', customersYaml(origin, await entra.listen('127.0.0.1', 0)));
    await laptop.commit('config/deploy.yaml', deployYaml(1));
    token = await entra.mint(PEOPLE.admin.username);
  }, 120_000);

  afterAll(async () => {
    await caddy?.stop();
    await slots?.stop();
    await laptop?.[Symbol.asyncDispose]();
    await postgres?.remove();
    await entra.close();
    if (home) await rm(join(home, '..'), { recursive: true, force: true });
  });

  const deployYaml = (watchSeconds: number) =>
    `home: ${home}\nmin_free_megabytes: 10\nwatch: { seconds: ${watchSeconds} }\n`;

  const history = async (): Promise<HistoryLine[]> =>
    (await readFile(layoutOf(home).history, 'utf8'))
      .trim()
      .split('\n')
      .map(line => JSON.parse(line));

  const ready = async () => (await (await fetch(`${origin}/frame/ready`)).json()) as Record<string, string>;

  async function frame(...args: string[]) {
    const finished = await laptop.frame(args);
    return { ...finished, said: `${finished.out}${finished.err}` };
  }

  async function mustDo(...args: string[]): Promise<string> {
    const { exit, said } = await frame(...args);
    expect(exit, said).toBe(0);
    return said;
  }

  function work(): RunningLoad {
    const load = startLoad({ origin, kinds: kindsWith(token), connections: 3, seconds: 400 });
    onTestFinished(() => load.stop());
    return load;
  }

  test('provision prepares a machine that has nothing, and a second time changes nothing', {
    timeout: 180_000,
  }, async () => {
    const ports = [first, first + 1, first + 2].join(',');
    const url = { FRAME_DATABASE_URL: postgres.url.reveal() };
    const args = ['provision', 'axe', '--ports', ports, '--supervisor', 'none'];
    const done = await laptop.frame(args, url);
    expect(done.exit, done.err).toBe(0);
    expect(done.out + done.err).not.toContain(postgres.url.reveal());
    const again = await laptop.frame(args, url);
    expect(again.out).toContain('Nothing changed');
    slots = supervise(home, { ports: { blue: first, green: first + 1 } });
    caddy = await startCaddy({ file: CADDY, home, ports: { blue: first, green: first + 1, proxy: first + 2 } });
    expect((await fetch(`${origin}/frame/ready`)).status).toBe(503);
  });

  test('the first deploy brings it to life', { timeout: 180_000 }, async () => {
    await mustDo('deploy', 'axe');
    expect(await ready()).toMatchObject({ status: 'ready', slot: 'blue', customer: 'axe' });
    const load = work();
    await load.until(() => load.asked.length > 50);
    await load.stop();
    expect(failuresOf(load.asked)).toEqual({});
  });

  test('status sees no drift, and health no fault', async () => {
    expect(await mustDo('status', 'axe', '--ref', 'HEAD')).toContain('everything is as it should be');
    const { exit, out } = await frame('health', 'axe', '--json');
    expect([exit, JSON.parse(out)]).toMatchObject([0, [{ customer: 'axe', state: 'ok', complaints: [] }]]);
  });

  test(`${CYCLES} deploys and ${CYCLES} rollbacks: nobody notices`, { timeout: 400_000 }, async () => {
    const load = work();
    const pid = caddy.pid;
    const releases = new Set([(await ready()).release]);
    for (let cycle = 1; cycle <= CYCLES; cycle += 1) {
      const sha = await laptop.commit('src/cycle.ts', `export const CYCLE = ${cycle};\n`);
      await mustDo('deploy', 'axe');
      const after = await ready();
      expect(after.release).toContain(sha);
      releases.add(after.release);
      await mustDo('rollback', 'axe');
      expect((await ready()).release).not.toContain(sha);
    }
    await mustDo('promote', 'axe');
    await load.stop();
    expect(load.asked.length).toBeGreaterThan(500);
    expect(failuresOf(load.asked)).toEqual({});
    expect(releases.size).toBe(CYCLES + 1);
    expect(caddy.pid).toBe(pid);
    expect((await history()).filter(({ verb, result }) => verb === 'deploy' && result === 'ok')).toHaveLength(
      CYCLES + 1,
    );
  });

  test('a release that cannot start never gets a request', { timeout: 180_000 }, async () => {
    const before = await ready();
    const load = work();
    const main = await readFile(join(laptop.clone, 'src/gateway.ts'), 'utf8');
    await laptop.commit('src/gateway.ts', `throw new Error('the dog ate it');\n${main}`);
    const { exit, said } = await frame('deploy', 'axe');
    expect(exit, said).toBe(20);
    expect(said).toContain('the dog ate it');
    expect(await ready()).toMatchObject({ release: before.release, slot: before.slot });
    await laptop.commit('src/gateway.ts', main);
    await load.stop();
    expect(failuresOf(load.asked)).toEqual({});
  });

  test('a release that lies about its health goes back by itself', { timeout: 180_000 }, async () => {
    const before = await ready();
    const load = work();
    const door = await readFile(join(laptop.clone, 'src/tools/about/get-context.ts'), 'utf8');
    await laptop.write('config/deploy.yaml', deployYaml(20));
    await laptop.commit(
      'src/tools/about/get-context.ts',
      door.replace(/async run\([^)]*\) \{/, match => `${match}\n    if (Date.now() > 0) throw new Error('broken');`),
    );
    const { exit, said } = await frame('deploy', 'axe');
    expect(exit, said).toBe(21);
    expect(await ready()).toMatchObject({ release: before.release, slot: before.slot });
    expect((await history()).at(-1)).toMatchObject({ result: 'reverted', reason: expect.any(String) });
    await load.stop();
  });

  test('a laptop that dies on the way leaves nothing half done', { timeout: 240_000 }, async () => {
    const door = await readFile(join(laptop.clone, 'src/tools/about/get-context.ts'), 'utf8');
    await laptop.write('config/deploy.yaml', deployYaml(1));
    const sha = await laptop.commit(
      'src/tools/about/get-context.ts',
      door.replace(/\n.*throw new Error\('broken'\);/, ''),
    );
    const load = work();
    for (const step of ['upload', 'migrate', 'gate']) {
      const child = laptop.start(['deploy', 'axe']);
      let said = '';
      for (const stream of [child.stdout, child.stderr]) {
        stream?.setEncoding('utf8').on('data', (text: string) => {
          said += text;
          if (said.includes(step)) child.kill('SIGKILL');
        });
      }
      await once(child, 'close');
      expect((await fetch(`${origin}/frame/ready`)).status).toBe(200);
    }
    // The agent of the one before may still be at work: whoever comes then is told so, and comes again.
    await expect.poll(async () => (await frame('deploy', 'axe')).exit, { timeout: 120_000, interval: 500 }).toBe(0);
    expect((await ready()).release).toContain(sha);
    await load.stop();
    expect(failuresOf(load.asked)).toEqual({});
  });

  test('two at once: one works, the other is told who', { timeout: 180_000 }, async () => {
    await laptop.commit('src/cycle.ts', 'export const CYCLE = 100;\n');
    const both = await Promise.all([frame('deploy', 'axe'), frame('deploy', 'axe')]);
    const exits = both.map(({ exit }) => exit).sort();
    expect(exits, both.map(({ said }) => said).join('\n')).toEqual([0, 75]);
    expect(both.find(({ exit }) => exit === 75)?.said).toMatch(/`deploy`/);
  });

  test('cleanup keeps what a rollback needs', async () => {
    await mustDo('slot', 'cleanup', 'axe');
    await mustDo('rollback', 'axe');
    await mustDo('promote', 'axe');
    expect(await mustDo('slot', 'list')).toContain('axe');
  });

  test('no secret is in the history, in the logs of the slots, or in any process list', async () => {
    const { password } = new URL(postgres.url.reveal());
    const layout = layoutOf(home);
    const texts = await Promise.all(
      [layout.history, layout.log('blue'), layout.log('green')].map(file => readFile(file, 'utf8')),
    );
    const ps = spawn('ps', ['-axww', '-o', 'args=']);
    let processes = '';
    ps.stdout.setEncoding('utf8').on('data', (text: string) => {
      processes += text;
    });
    await once(ps, 'close');
    const env = await readFile(layout.env, 'utf8');
    const own = /FRAME_DATABASE_URL=.*?:\/\/[^:]+:([^@]+)@/.exec(env)?.[1];
    expect(own).toBeDefined();
    for (const secret of [password, own ?? '']) {
      expect(texts.some(text => text.includes(secret))).toBe(false);
      expect(processes.includes(secret)).toBe(false);
    }
  });
});

function customersYaml(origin: string, authority: string): string {
  return `customers:
  axe:
    name: AXE LLC
    origin: ${origin}
    host: axe-mac
    domains: [axe.example]
    entra:
      tenant_id: ${AXE.tenantId}
      audience: [api://axe.example/frame, 6f0c0000-0000-4000-8000-00000000000a]
      scope: access_as_user
      authority: ${authority}
    sign_in: direct
    entities:
      axe: { name: AXE LLC }
    access:
      - { who: ai@axe.example, role: admin }
`;
}

/** What people do all day: calls of tools, small and chunked, and programs that ask where to sign in. */
function kindsWith(token: string): Kind[] {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const call = Buffer.from(rpc('tools/call', { name: 'get_context', arguments: {} }));
  const asCall = (body: Buffer[], more = {}): ReturnType<Kind['next']> => ({
    method: 'POST',
    path: '/frame/mcp',
    headers: { ...headers, ...more },
    body,
    complain: ({ body: answer }) =>
      answer.includes('"username":"ai@axe.example"') ? undefined : answer.toString().slice(0, 200),
  });
  return [
    { name: 'call', share: 3, next: () => asCall([call], { 'content-length': String(call.length) }) },
    { name: 'chunked call', share: 1, next: () => asCall([call.subarray(0, 20), call.subarray(20)]) },
    {
      name: 'metadata',
      share: 1,
      next: () => ({
        method: 'GET',
        path: '/.well-known/oauth-protected-resource/frame/mcp',
        complain: ({ body }) => (body.includes('/frame/mcp') ? undefined : 'another document'),
      }),
    },
  ];
}
