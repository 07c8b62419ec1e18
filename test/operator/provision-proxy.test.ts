import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, symlink, utimes } from 'node:fs/promises';
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { isAlive } from '../../src/database/embedded-process.ts';
import { layoutOf } from '../../src/operator/agent/layout.ts';
import type { HostFacts, Provisioning } from '../../src/operator/agent/protocol.ts';
import { refusalOf } from '../../src/operator/agent/refusal.ts';
import { restartProxy, runningProxy } from '../../src/operator/agent/restart-proxy.ts';
import { servicesInclude } from '../../src/operator/provision/services-include.ts';
import { findCaddies } from '../support/caddy.ts';
import { failuresOf, startLoad } from '../support/flip-load.ts';
import { freePorts } from '../support/frame-process.ts';
import { makeMachine, ORIGIN, type TestMachine, usual } from './provision-machine.ts';

const caddies = await findCaddies();

let machine: TestMachine;
let ports: HostFacts['ports'];
beforeEach(async () => {
  machine = await makeMachine();
  const first = await freePorts();
  ports = { blue: first, green: first + 1, proxy: first + 2 };
});
afterEach(() => machine[Symbol.asyncDispose]());

describe.each(caddies)('$title', ({ file }) => {
  const programs = { caddy: file ?? '' };
  const provision = (request: Partial<Provisioning> = {}, dryRun = false) =>
    machine.provision({ ports, supervisor: 'systemd', ...request }, { programs, dryRun });

  describe.skipIf(!file)('files for it', () => {
    test.each<[string, Partial<Provisioning['proxy']>]>([
      ['services that are none', { services: 'no {such} thing\n' }],
      ['a Caddyfile that is none', { caddyfile: ':1 {\n' }],
      ['a Caddyfile of another program', { caddyfile: 'server { listen 80; }\n' }],
    ])('%s: refused in its own words, and nothing is changed', async (_, changed) => {
      await provision();
      const before = await machine.read('proxy/Caddyfile');
      const { proxy } = await usual();
      for (const dryRun of [true, false]) {
        const { exit, refusal, done } = await provision({ proxy: { ...proxy, ...changed }, env: { A: 'b' } }, dryRun);
        expect({ exit, done }).toEqual({ exit: 2, done: [] });
        expect(refusal?.message).toMatch(/^Caddy cannot use .*nothing was changed\. \S/);
        expect(refusal?.message).not.toMatch(/[.-]check-/);
      }
      expect(await machine.read('proxy/Caddyfile')).toBe(before);
      expect(await machine.read('shared/env')).not.toContain('A=b');
    });

    test('what a killed look left behind is removed by the next one', async () => {
      await provision();
      for (const name of ['.check-old', '.check-young']) await machine.write(`${name}/proxy/services.caddy`, '');
      await utimes(join(machine.home, '.check-old'), 1000, 1000);
      await provision();
      const names = (await readdir(machine.home)).filter(name => name.startsWith('.check-'));
      expect(names).toEqual(['.check-young']);
    });

    test('a home that its configuration cannot name is refused, too', async () => {
      await using odd = await makeMachine('a "quoted" word');
      expect(await odd.provision({}, { programs })).toMatchObject({ exit: 2, refusal: { code: 'deploy/refused' } });
    });
  });

  describe.skipIf(!file)('the slot that is live', () => {
    test.each(["it's $(id) `here`", 'früh; 雪 & #1'])('answers from a home called %s', async name => {
      await using odd = await makeMachine(name);
      await using slot = await startService('blue');
      const blue = Number(slot.address.split(':')[1]);
      expect(await odd.provision({ ports: { ...ports, blue } }, { programs })).toMatchObject({ exit: 0 });
      await using _ = await superviseProxy(odd, { ...ports, blue }, file ?? '');
      expect(await get(ports.proxy, '/frame/ready', {})).toEqual({ status: 503 });
      await symlink('../slots/blue', join(odd.home, 'state/live'));
      expect(await get(ports.proxy, '/frame/ready', {})).toMatchObject({ status: 200, name: 'blue' });
    });
  });

  describe.skipIf(!file)('services', () => {
    test('get what is below their name, as it came; the gateway keeps its own addresses', async () => {
      await using vault = await startService('vault');
      await provision({ proxy: await proxyWith({ vault: vault.address, 'a-b': vault.address }) });
      await using _ = await superviseProxy(machine, ports, file ?? '');
      const ask = (path: string) => get(ports.proxy, path, { 'X-Forwarded-Prefix': '/evil' });
      expect(await ask('/vault')).toMatchObject({ name: 'vault', path: '/vault' });
      const odd = '/vault/a%20b/..%2F?c=%2F&d';
      expect(await ask(odd)).toMatchObject({ name: 'vault', path: odd, prefix: '/vault', scheme: 'https' });
      expect(await ask('/a-b/x')).toMatchObject({ path: '/a-b/x', prefix: '/a-b' });
      for (const path of ['/', '/vaults', '/vaultx/', '/frame/mcp', '/api/tools', '/vault/../frame/mcp', '/token']) {
        // No slot is live.
        expect([path, (await ask(path)).status]).toEqual([path, 503]);
      }
    });
  });

  describe.skipIf(!file)('new routes', () => {
    test('are taken up by a restart under load in which somebody always listens', { timeout: 120_000 }, async () => {
      await using old = await startService('old');
      await using added = await startService('added');
      await provision({ proxy: await proxyWith({ old: old.address }) });
      await using supervised = await superviseProxy(machine, ports, file ?? '');
      const pidBefore = await machine.read('proxy/pid');
      const load = startLoad({
        origin: `http://127.0.0.1:${ports.proxy}`,
        kinds: [
          {
            name: 'GET',
            share: 1,
            next: () => ({ method: 'GET', path: '/old/x', headers: { Connection: 'close' }, complain }),
          },
        ],
        connections: 8,
      });
      await load.until(() => load.asked.length > 200);
      const { heard, done } = await provision({ proxy: await proxyWith({ old: old.address, added: added.address }) });
      const asked = load.asked.length;
      await load.until(() => load.asked.length > asked + 200);
      await load.stop();
      expect(done).toEqual(['proxy/services.caddy  changed', 'the proxy  started anew']);
      expect(heard).toContainEqual(
        expect.objectContaining({ kind: 'warning', sentence: expect.stringContaining('starts anew') }),
      );
      // A connection that is being opened in the moment when the old one closes its socket may be reset; none is refused.
      expect(Object.keys(failuresOf(load.asked)).filter(name => name !== 'GET ECONNRESET')).toEqual([]);
      expect(await machine.read('proxy/pid')).not.toBe(pidBefore);
      expect(supervised.starts()).toBe(2);
      expect((await fetch(`http://127.0.0.1:${ports.proxy}/added/`)).status).toBe(200);
      // Nobody but the supervised one is left: ended, nobody listens.
      await supervised.stop();
      await expect(fetch(`http://127.0.0.1:${ports.proxy}/old/`)).rejects.toThrow();
    });

    test('nobody stays behind when the agent is killed in the middle of it', { timeout: 60_000 }, async () => {
      await using service = await startService('vault');
      await provision();
      await using supervised = await superviseProxy(machine, ports, file ?? '');
      const old = Number(await machine.read('proxy/pid'));
      supervised.letItBe();
      const agent = Promise.withResolvers<number>();
      const killed = machine.provision(
        { ports, supervisor: 'systemd', proxy: await proxyWith({ vault: service.address }) },
        { programs, started: agent.resolve },
      );
      await until(async () => !isAlive(old));
      // The stand-in, alone.
      expect(await get(ports.proxy, '/vault/', {})).toMatchObject({ status: 200 });
      process.kill(await agent.promise, 'SIGKILL');
      expect((await killed).exit).toBeNull();
      await until(() =>
        get(ports.proxy, '/vault/', {}).then(
          () => false,
          () => true,
        ),
      );
    });

    test('wait where nobody is known to start it again: a person is told how', async () => {
      await using service = await startService('vault');
      await provision({ supervisor: 'none' });
      await using supervised = await superviseProxy(machine, ports, file ?? '');
      const pid = await machine.read('proxy/pid');
      const proxy = await proxyWith({ vault: service.address });
      const { done, left } = await provision({ supervisor: 'none', proxy });
      expect(done).toEqual(['proxy/services.caddy  changed']);
      const { commands } = left.find(({ sentence }) => sentence.includes('files of before')) ?? { commands: [] };
      expect(commands).toEqual([
        `kill ${pid.trim()}`,
        `sh ${machine.home}/bin/run-proxy ${ports.blue} ${ports.green} ${ports.proxy}`,
      ]);
      expect(supervised.starts()).toBe(1);
      expect(await machine.read('proxy/pid')).toBe(pid);
      process.kill(Number(pid), 'SIGTERM');
      await until(async () => (await machine.read('proxy/pid')) !== pid);
      const after = await provision({ supervisor: 'none', proxy });
      expect(after.left.filter(({ sentence }) => sentence.includes('files of before'))).toEqual([]);
    });

    test('are served by the stand-in when nobody starts it again, until a person ends that', async () => {
      await using service = await startService('vault');
      await provision();
      await using supervised = await superviseProxy(machine, ports, file ?? '');
      await provision({ proxy: await proxyWith({ vault: service.address }), restartProxy: false });
      const layout = layoutOf(machine.home);
      const old = await runningProxy(layout);
      supervised.letItBe();
      vi.stubEnv('PATH', `${join(file ?? '', '..')}:/usr/bin:/bin`);
      onTestFinished(() => void vi.unstubAllEnvs());
      const failure = await restartProxy(layout, ports, old ?? { pid: 0, started: '' }, 1_000).catch(refusalOf);
      expect(failure).toMatchObject({ code: 'deploy/failed', hint: expect.stringContaining('Then end the stand-in') });
      expect(await get(ports.proxy, '/vault/', {})).toMatchObject({ status: 200 });
      const [, standIn] = /process (\d+)\.$/.exec(typeof failure === 'string' ? '' : failure.message) ?? [];
      process.kill(Number(standIn), 'SIGTERM');
      await until(() =>
        get(ports.proxy, '/vault/', {}).then(
          () => false,
          () => true,
        ),
      );
    });

    test('wait when they are told to, and are named until they are taken up', async () => {
      await using service = await startService('vault');
      await provision();
      await using _ = await superviseProxy(machine, ports, file ?? '');
      const pid = await machine.read('proxy/pid');
      const proxy = await proxyWith({ vault: service.address });
      const waiting = { sentence: expect.stringContaining('files of before'), commands: ['frame provision axe'] };
      expect((await provision({ proxy, restartProxy: false })).left).toContainEqual(waiting);
      expect(await provision({ proxy, restartProxy: false })).toMatchObject({
        done: [],
        left: expect.arrayContaining([waiting]),
      });
      expect(await provision({ proxy }, true)).toMatchObject({ done: ['the proxy  started anew'] });
      expect(await machine.read('proxy/pid')).toBe(pid);
      expect((await provision({ proxy })).done).toEqual(['the proxy  started anew']);
      expect(await machine.read('proxy/pid')).not.toBe(pid);
      expect((await provision({ proxy })).done).toEqual([]);
    });
  });
});

test('somebody else on the port of the proxy is named', async () => {
  const stranger = createServer().listen(ports.proxy, '127.0.0.1');
  await once(stranger, 'listening');
  const { left } = await machine.provision({ ports });
  stranger.close();
  expect(left).toContainEqual({
    sentence: expect.stringContaining(`listens on its port ${ports.proxy}`),
    commands: [`sudo lsof -nP -iTCP:${ports.proxy} -sTCP:LISTEN`],
  });
});

const complain = () => undefined;

/** The path as it stands here: fetch would tidy it up. */
async function get(port: number, path: string, headers: Record<string, string>): Promise<Record<string, unknown>> {
  const asked = request({ host: '127.0.0.1', port, path, headers, agent: false });
  const [response] = await once(asked.end(), 'response');
  const body = await text(response);
  return response.statusCode === 200 ? { status: 200, ...JSON.parse(body) } : { status: response.statusCode };
}

async function proxyWith(services: Record<string, string>): Promise<Provisioning['proxy']> {
  return { ...(await usual()).proxy, services: servicesInclude({ services, origin: ORIGIN }) };
}

interface Service extends AsyncDisposable {
  address: string;
}

/** Says what it was asked. */
async function startService(name: string): Promise<Service> {
  const server: Server = createServer(({ url, headers }, response) => {
    const { 'x-forwarded-prefix': prefix, 'x-forwarded-proto': scheme } = headers;
    response.end(JSON.stringify({ name, path: url, prefix, scheme }));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise(resolve => server.close(resolve));
    },
  };
}

interface Supervised extends AsyncDisposable {
  starts(): number;
  /** From now on it stays ended. */
  letItBe(): void;
  stop(): Promise<void>;
}

/** Does what launchd does: starts run-proxy again whenever it ends. */
async function superviseProxy({ home }: TestMachine, ports: HostFacts['ports'], caddy: string): Promise<Supervised> {
  const args = [join(home, 'bin/run-proxy'), `${ports.blue}`, `${ports.green}`, `${ports.proxy}`];
  const PATH = `${join(caddy, '..')}:/usr/bin:/bin`;
  let starts = 0;
  let isOver = false;
  let child: ChildProcess;
  const start = () => {
    starts += 1;
    child = spawn('/bin/sh', args, { env: { PATH }, stdio: 'ignore' });
    child.once('exit', () => !isOver && start());
  };
  start();
  await until(() =>
    get(ports.proxy, '/', {}).then(
      () => true,
      () => false,
    ),
  );
  const stop = async () => {
    isOver = true;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  };
  return {
    starts: () => starts,
    letItBe: () => {
      isOver = true;
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

async function until(isSo: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 20_000; !(await isSo()); await pause(50)) {
    if (Date.now() > end) throw new Error(`It did not come to that: ${isSo}`);
  }
}
