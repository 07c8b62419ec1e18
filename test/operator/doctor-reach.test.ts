import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { createServer as createTcpServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createDoctorCommand } from '../../src/operator/commands/doctor.ts';
import { startCaddy } from '../support/caddy.ts';
import { makeDataFolder, removeDataFolder } from '../support/data-folder.ts';
import { freePorts } from '../support/frame-process.ts';
import { selfSigned } from '../support/self-signed.ts';
import { BEHIND_GATEWAY, certificate, DAY_MS, namesOf, openClinic } from './doctor-clinic.ts';
import { instead, startFront, withBody } from './doctor-front.ts';

/** From the name to whoever answers there. */
const clinic = openClinic();
const READY = '/frame/ready';
const CADDY = '/usr/bin/caddy';

describe('the way to a server', () => {
  test('a name that nobody knows', async () => {
    const found = await clinic.diagnose('axe');
    expect(found).toMatchObject({ exit: 1, first_broken: 'name' });
    expect(found.steps.name?.seen).toContain('axe.example');
    expect(namesOf(found, 'not-tried')).toEqual(['connection', 'certificate', 'gateway', ...BEHIND_GATEWAY]);
    // Entra is asked nevertheless.
    expect(namesOf(found, 'ok')).toEqual(['customer', 'entra-tenant', 'entra-keys', 'redirect-uri', 'clock']);
  });

  test('nobody listens', async () => {
    const found = await clinic.diagnose('axe --connect 127.0.0.1:1');
    expect(found.first_broken).toBe('connection');
    expect(found.steps.connection?.seen).toBe('Nobody takes the connection: the connection was refused.');
  });

  test('somebody listens, and says nothing', async () => {
    const mute = createTcpServer(() => {}).listen(0, '127.0.0.1');
    await once(mute, 'listening');
    const sockets = new Set<Socket>();
    mute.on('connection', socket => sockets.add(socket));
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy();
      mute.close();
    });
    const address = mute.address();
    const found = await clinic.diagnose(`axe --connect 127.0.0.1:${typeof address === 'object' && address?.port}`);
    expect(found.first_broken).toBe('certificate');
    expect(found.steps.certificate?.seen).toBe('TLS does not come about: no answer within 5 s.');
  });

  test('somebody listens without TLS', async () => {
    const plain = createServer((_, answer) => answer.end()).listen(0, '127.0.0.1');
    await once(plain, 'listening');
    onTestFinished(() => void plain.close());
    const address = plain.address();
    const found = await clinic.diagnose(`axe --connect 127.0.0.1:${typeof address === 'object' && address?.port}`);
    expect(found.first_broken).toBe('certificate');
    expect(found.steps.certificate?.seen).toContain('does not speak TLS');
  });

  test('a server that has no certificate for the name', async () => {
    const bare = createTlsServer(() => {}).listen(0, '127.0.0.1');
    await once(bare, 'listening');
    onTestFinished(() => void bare.close());
    const address = bare.address();
    const found = await clinic.diagnose(`axe --connect 127.0.0.1:${typeof address === 'object' && address?.port}`);
    expect(found.first_broken).toBe('certificate');
    expect(found.steps.certificate?.seen).toBe('The server has no certificate for axe.example.');
  });

  const expired = selfSigned('axe.example', { from: Date.now() - 9 * DAY_MS, to: Date.now() - 3 * DAY_MS });
  const early = selfSigned('axe.example', { from: Date.now() + 2 * DAY_MS, to: Date.now() + 9 * DAY_MS });
  const foreign = selfSigned('other.example');
  test.each([
    ['ended', expired, expired.cert, 'The certificate ended on ', 'Renew'],
    ['has not begun', early, early.cert, 'The certificate begins on ', 'clock'],
    ['is for another name', foreign, foreign.cert, 'is for DNS:other.example, not for axe.example', 'axe.example'],
    ['vouches for itself', certificate, undefined, 'signed its certificate itself', 'authority'],
  ])('a certificate that %s', async (_, shown, ca, seen, mend) => {
    clinic.front.show(shown);
    const found = await clinic.throughFront(createDoctorCommand({ ca }));
    expect(found.first_broken).toBe('certificate');
    expect(found.steps.certificate).toMatchObject({
      seen: expect.stringContaining(seen),
      mend: expect.stringContaining(mend),
    });
    expect(namesOf(found, 'not-tried')).toEqual(['gateway', ...BEHIND_GATEWAY]);
  });
});

describe('who answers', () => {
  const CLOUDFLARE = { server: 'cloudflare', 'cf-ray': '8f0000000000-FRA' };
  const TEXT = { ...CLOUDFLARE, 'content-type': 'text/plain' };
  const HTML = { ...CLOUDFLARE, 'content-type': 'text/html' };
  test.each([
    [
      'a tunnel without cloudflared',
      530,
      TEXT,
      'error code: 1033\n',
      'no cloudflared of it is connected',
      'Start cloudflared',
    ],
    [
      'the same for a browser',
      530,
      HTML,
      '<title>axe.example | 1033: Cloudflare Tunnel error</title>',
      'its error 1033',
      'Start',
    ],
    ['a name that leads nowhere', 530, TEXT, 'error code: 1016', 'the name leads nowhere', 'tunnel route dns'],
    [
      'cloudflared without a proxy',
      502,
      TEXT,
      'error code: 502',
      'gets no good answer on the machine',
      'frame health axe',
    ],
    ['a record that is not the tunnel', 521, TEXT, 'error code: 521', 'not through the tunnel', 'overwrite-dns'],
    [
      'a challenge',
      403,
      { ...HTML, 'cf-mitigated': 'challenge' },
      '<title>Just a moment...</title>',
      'turns programs away',
      'Bot Fight',
    ],
    ['a firewall rule', 403, TEXT, 'error code: 1020', 'turns programs away', 'Exempt axe.example'],
    ['a firewall rule, as JSON', 403, CLOUDFLARE, '{"title":"x","error_code":1010}', 'turns programs away', 'Exempt'],
    ['a rate limit', 429, TEXT, 'error code: 1015', 'too many requests', 'rate limiting'],
    ['no rule of the tunnel', 404, CLOUDFLARE, '', 'no ingress rule of the tunnel', 'frame provision axe --dry-run'],
    [
      'Cloudflare Access',
      302,
      { ...CLOUDFLARE, location: 'https://axe.cloudflareaccess.com/login?kid=1' },
      '',
      'a redirect to https://axe.cloudflareaccess.com/login,',
      'Access application',
    ],
    [
      'a redirect',
      301,
      { location: 'https://www.axe.example/' },
      '',
      'a redirect to https://www.axe.example/',
      'redirect rule',
    ],
    ['another service behind Cloudflare', 200, HTML, '<title>Grafana\u001b[2J</title>', 'Grafana', 'DNS record'],
    ['somebody else', 200, { server: 'nginx' }, '<h1>Welcome to nginx!</h1>', 'nginx', 'DNS record'],
    ['nothing but a status', 204, {}, '', 'says nothing', 'DNS record'],
  ])('%s', async (_, status, headers, body, seen, mend) => {
    clinic.front.change(undefined, instead(status, headers, body));
    const found = await clinic.throughFront();
    expect(found).toMatchObject({ exit: 1, first_broken: 'gateway' });
    expect(found.steps.gateway).toMatchObject({
      seen: expect.stringContaining(seen),
      mend: expect.stringContaining(mend),
    });
    expect(namesOf(found, 'not-tried')).toEqual(BEHIND_GATEWAY);
  });

  test.skipIf(!existsSync(CADDY))(`our own proxy without a live slot (needs ${CADDY})`, async () => {
    const folder = await makeDataFolder();
    onTestFinished(() => removeDataFolder(folder));
    await mkdir(join(folder, 'proxy'));
    const first = await freePorts();
    const ports = { blue: first, green: first + 1, proxy: first + 2 };
    await using caddy = await startCaddy({ file: CADDY, home: folder, ports });
    await using before = await startFront(Number(new URL(caddy.origin).port), certificate);
    const found = await clinic.diagnose(`axe --connect 127.0.0.1:${before.port}`);
    expect(found.first_broken).toBe('gateway');
    expect(found.steps.gateway).toMatchObject({
      seen: 'The proxy on the machine answers, and no slot is live.',
      mend: expect.stringContaining('`frame promote axe`'),
    });
  });

  test('a gateway that does not know the origin', async () => {
    clinic.front.sendHost('axe.internal');
    const found = await clinic.throughFront();
    expect(found.first_broken).toBe('gateway');
    expect(found.steps.gateway).toMatchObject({
      seen: 'A gateway (release dev) answers, and does not know https://axe.example as its own.',
      mend: expect.stringContaining('frame status axe'),
    });
  });

  test.each([
    [
      'of another customer',
      200,
      { customer: 'zoo' },
      'A gateway of another customer answers: zoo',
      'frame provision axe',
    ],
    [
      'that is not ready',
      503,
      { status: 'not-ready', checks: { database: 'failed', migrations: 'ok' } },
      'is not-ready (database)',
      'frame rollback axe',
    ],
    ['that is on its way out', 503, { status: 'draining' }, 'is draining.', 'try again'],
  ])('a gateway %s', async (_, status, changes, seen, mend) => {
    clinic.front.change(READY, answer => ({ ...withBody(changes)(answer), status }));
    const found = await clinic.throughFront();
    expect(found.first_broken).toBe('gateway');
    expect(found.steps.gateway).toMatchObject({
      seen: expect.stringContaining(seen),
      mend: expect.stringContaining(mend),
    });
  });

  test('nobody, behind a connection that stands', async () => {
    clinic.front.change(READY, () => new Promise(() => {}));
    const found = await clinic.throughFront();
    expect(found.steps.gateway).toMatchObject({
      seen: 'The connection stands, and there is no answer: no answer within 5 s.',
      mend: expect.stringContaining('frame health axe'),
    });
  });

  test('somebody who stops in the middle of the answer', async () => {
    const stuck = createTlsServer(certificate, (_, answer) => {
      answer.writeHead(200, { 'content-length': '100' });
      answer.write('{');
    }).listen(0, '127.0.0.1');
    await once(stuck, 'listening');
    onTestFinished(() => {
      stuck.closeAllConnections();
      stuck.close();
    });
    const address = stuck.address();
    const found = await clinic.diagnose(`axe --connect 127.0.0.1:${typeof address === 'object' && address?.port}`);
    expect(found.steps.gateway?.seen).toBe('The connection stands, and there is no answer: no answer within 5 s.');
  });

  test('what they write never reaches the terminal as it is', async () => {
    clinic.front.change(undefined, instead(200, { server: 'x\u009b2J' }, '<title>\u001b]0;pwned\u0007\u202e</title>'));
    for (const more of ['', ' --json']) {
      const { out } = await clinic.doctor(`axe --connect 127.0.0.1:${clinic.front.port}${more}`);
      expect(out).toContain('pwned');
      expect(out).not.toMatch(/[[\p{Cc}\p{Cf}]--\n]/v);
    }
  });
});
