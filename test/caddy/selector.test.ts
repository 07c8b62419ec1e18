import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdir, rm, symlink, unlink, writeFile } from 'node:fs/promises';
import { type IncomingHttpHeaders, type RequestOptions, request } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import { flip } from '../../src/operator/agent/slots.ts';
import { servicesInclude } from '../../src/operator/provision/services-include.ts';
import { type Caddy, findCaddies, startCaddy } from '../support/caddy.ts';
import { freePorts } from '../support/frame-process.ts';
import { makeSlots, type Slots } from './slots.ts';
import { listeningSockets } from './sockets.ts';

const CADDYFILE = join(import.meta.dirname, '../../Caddyfile');
/** All that the gateway answers, as its table of contents has it. */
const APP = readFileSync(join(import.meta.dirname, '../../src/http/app.ts'), 'utf8');
const ADDRESSES = [...new Set([...APP.matchAll(/'(\/[^'*]+)'/g)].map(([, path = '']) => path))];

/** The Caddyfile as a stranger meets it: whom it passes on to, as whom, and what it says when there is nobody. */
for (const { title, file } of await findCaddies()) {
  describe.skipIf(file === undefined)(`the selector, ${title}`, () => {
    let slots: Slots;
    let caddy: Caddy;

    beforeAll(async () => {
      const first = await freePorts();
      slots = await makeSlots({ blue: first, green: first + 1, proxy: first + 2 });
      await Promise.all([slots.start('blue'), slots.start('green')]);
      caddy = await start();
    });

    afterAll(async () => {
      await caddy?.stop();
      await slots?.[Symbol.asyncDispose]();
    });

    beforeEach(() => flip(slots.layout, 'blue'));

    const start = () => startCaddy({ file: file ?? '', home: slots.layout.home, ports: slots.ports });
    const ask = (path: string, options?: RequestOptions, body?: string) =>
      exchange({ port: slots.ports.proxy, path, ...options }, body);
    const slotAt = async (path: string) => (await ask(path)).headers['x-frame-slot'];

    /** What the slot was told of who asks. */
    async function headersFor(sent: Record<string, string>): Promise<Record<string, string>> {
      const { body } = await ask('/frame/live', { headers: sent });
      return z.object({ headers: z.record(z.string(), z.string()) }).parse(JSON.parse(body)).headers;
    }

    test('the link is the truth, from one request to the next', async () => {
      expect(await slotAt('/frame/live')).toBe('blue');
      await flip(slots.layout, 'green');
      expect(await slotAt('/frame/live')).toBe('green');
    });

    describe('6. whatever else the link is, the answer is a problem and never a slot', () => {
      const WRONG: [string, (live: string) => Promise<unknown>][] = [
        ['missing', async () => {}],
        ['leads nowhere', live => symlink('../slots/nowhere', live)],
        ['leads to a third slot', live => thirdSlot().then(() => symlink('../slots/purple', live))],
        ['leads to itself', live => symlink('live', live)],
        ['leads to the folder of both', live => symlink('../slots', live)],
        ['an empty file', live => writeFile(live, '')],
        ['a file that says blue', live => writeFile(live, 'blue')],
        ['an empty folder', live => mkdir(live)],
        ['a folder with a folder blue', live => mkdir(join(live, 'blue'), { recursive: true })],
      ];

      async function thirdSlot(): Promise<void> {
        const folder = join(slots.layout.home, 'slots/purple');
        await mkdir(folder, { recursive: true });
        await writeFile(join(folder, 'purple'), '');
      }

      test.each(WRONG)('%s', async (_, make) => {
        const { live } = slots.layout;
        onTestFinished(() => rm(live, { recursive: true, force: true }));
        await unlink(live);
        await make(live);
        for (const method of ['GET', 'POST', 'DELETE']) {
          const answer = await ask('/frame/mcp?code=SECRET', { method });
          expect(answer.status).toBe(503);
          expect(answer.headers).toMatchObject({
            'retry-after': '2',
            'cache-control': 'no-store',
            'content-type': 'application/problem+json',
          });
          expect(answer.headers).not.toHaveProperty('x-frame-slot');
          expect(JSON.parse(answer.body)).toEqual({
            type: 'urn:frame:error:unavailable',
            title: 'Service Unavailable',
            status: 503,
            code: 'unavailable',
            detail: expect.any(String),
            hint: expect.any(String),
            request_id: answer.headers['x-request-id'],
          });
        }
      });
    });

    test('a slot that dies with a request is a problem, too', async () => {
      const answering = ask('/mute', { method: 'POST', headers: { 'x-question': 'dies' } }, 'x');
      await expect.poll(() => slots.carriedOut()).toContain('dies');
      await slots.end('blue', 'SIGKILL');
      const { status, headers, body } = await answering;
      expect(headers['retry-after']).toBe('2');
      expect(JSON.parse(body)).toMatchObject({ status, code: 'unavailable', title: 'Bad Gateway' });
      await slots.start('blue');
    });

    test('the visitor is the last one in X-Forwarded-For, as Cloudflare names him', async () => {
      const from = (sent: Record<string, string>) => headersFor(sent).then(found => found['x-forwarded-for']);
      expect(await from({})).toBe('127.0.0.1');
      expect(await from({ 'x-forwarded-for': '203.0.113.66' })).toBe('127.0.0.1');
      expect(await from({ 'cf-connecting-ip': '203.0.113.9', 'x-forwarded-for': '203.0.113.66' })).toBe('203.0.113.9');
      expect(await from({ 'cf-connecting-ip': '2001:db8::9' })).toBe('2001:db8::9');
    });

    test('the Host is passed on as it came', async () => {
      expect((await headersFor({})).host).toBe(`127.0.0.1:${slots.ports.proxy}`);
    });

    test.skipIf(process.platform !== 'linux')('40. Caddy listens at one address, on loopback', async () => {
      expect(await listeningSockets(caddy.pid)).toEqual([`127.0.0.1:${slots.ports.proxy}`]);
    });

    test('the log says that an answer broke off, and nothing of what was asked', async () => {
      const url = `${caddy.origin}/events?code=SECRET`;
      const [stream] = await once(request(url, { headers: { 'x-api-key': 'SECRET' } }).end(), 'response');
      stream.on('error', () => {}).resume();
      await slots.end('blue', 'SIGKILL');
      await expect.poll(() => caddy.log()).toContain('incomplete response');
      expect(await caddy.log()).not.toContain('SECRET');
      await slots.start('blue');
    });

    test('does not start without FRAME_HOME, and names the line', async () => {
      const args = ['validate', '--adapter', 'caddyfile', '--config', CADDYFILE];
      const env = { HOME: slots.layout.home };
      const said = await promisify(execFile)(file ?? '', args, { env }).then(() => 'valid', String);
      expect(said).toMatch(/Error: adapting config using caddyfile: .*Caddyfile:\d+/);
    });

    async function restartWith(services: string): Promise<void> {
      await caddy.stop();
      await writeFile(slots.layout.services, services);
      caddy = await start();
    }

    test('services of the customer, as `frame provision` writes them, are reached below their names', async () => {
      const vault = `127.0.0.1:${slots.ports.green}`;
      await restartWith(servicesInclude({ services: { vault }, origin: 'https://axe.example' }));
      expect([await slotAt('/vault'), await slotAt('/vault/a'), await slotAt('/vaults')]).toEqual([
        'green',
        'green',
        'blue',
      ]);
      await restartWith(servicesInclude({ services: {}, origin: undefined }));
      expect(await slotAt('/vault')).toBe('blue');
    });

    describe('a service that claims everything', () => {
      beforeAll(async () => {
        // Half of a file that is being written.
        await writeFile(`${slots.layout.services}.fresh`, 'handle /vault {');
        await restartWith('respond "service {http.request.uri}"\n');
      });

      afterAll(() => restartWith('# None.\n'));

      test('gets what is not ours, also when no slot is live', async () => {
        await unlink(slots.layout.live);
        expect((await ask('/vault/a?b=c')).body).toBe('service /vault/a?b=c');
        expect((await ask('/frames')).body).toBe('service /frames');
      });

      test('the gateway has addresses', () => expect(ADDRESSES).toContain('/frame/mcp'));

      test.each([
        ...ADDRESSES,
        '/frame',
        '/api/tool',
        '/FRAME/mcp',
        '//frame/mcp',
        '/%66rame/mcp',
        '/vault/%2e%2e/frame/mcp',
      ])('never gets %s', async path => {
        expect(await slotAt(path)).toBe('blue');
      });
    });
  });
}

interface Reply {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
}

/** Sends the path as it is. */
async function exchange(options: RequestOptions, body?: string): Promise<Reply> {
  const asked = request({ host: '127.0.0.1', agent: false, ...options });
  asked.end(body);
  const [response] = await once(asked, 'response');
  return { status: response.statusCode, headers: response.headers, body: await text(response) };
}
