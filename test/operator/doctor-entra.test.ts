import { once } from 'node:events';
import { createServer } from 'node:http';
import { describe, expect, onTestFinished, test } from 'vitest';
import { judgeClocks } from '../../src/operator/doctor/clock.ts';
import { AXE, AXE_APP, BOLT_APP, entra, namesOf, ORIGIN, openClinic } from './doctor-clinic.ts';
import { withHeaders } from './doctor-front.ts';

const clinic = openClinic();

interface Answer {
  status?: number;
  headers?: Record<string, string>;
  body?: string;
}

describe('Entra', () => {
  /** An authority that answers as it is told, by path. */
  async function pretend(answers: Record<string, Answer>): Promise<string> {
    const server = createServer((asked, answer) => {
      const path = asked.url?.split('?')[0] ?? '';
      const known: Record<string, Answer> = {
        [OPENID]: { body: JSON.stringify({ issuer: `http://${asked.headers.host}/${AXE}/v2.0` }) },
      };
      const { status = 200, headers = {}, body = '' } = { ...known, ...answers }[path] ?? { status: 404 };
      answer.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body);
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => void server.close());
    const address = server.address();
    const authority = `http://127.0.0.1:${typeof address === 'object' && address?.port}`;
    await clinic.writeCustomers(clinic.customers.replaceAll(entra.authority, authority));
    return authority;
  }
  const OPENID = `/${AXE}/v2.0/.well-known/openid-configuration`;
  const KEYS = `/${AXE}/discovery/v2.0/keys`;
  const AUTHORIZE = `/${AXE}/oauth2/v2.0/authorize`;

  test('knows no such tenant', async () => {
    await clinic.writeCustomers(clinic.customers.replaceAll(AXE, AXE.replace('d1', 'd9')));
    const found = await clinic.throughFront();
    expect(found.first_broken).toBe('entra-tenant');
    expect(found.steps['entra-tenant']).toMatchObject({
      seen: expect.stringContaining('AADSTS90002'),
      mend: expect.stringContaining('entra.tenant_id of axe'),
    });
    expect(namesOf(found, 'not-tried')).toEqual(['entra-keys', 'redirect-uri']);
  });

  test('cannot be reached', async () => {
    await clinic.writeCustomers(clinic.customers.replaceAll(entra.authority, 'http://127.0.0.1:1'));
    const found = await clinic.throughFront();
    expect(found.first_broken).toBe('entra-tenant');
    expect(found.steps['entra-tenant']?.seen).toBe('There was no answer: the connection was refused.');
    expect(found.steps.preflight?.outcome).toBe('ok');
  });

  test('signs under another name', async () => {
    const authority = await pretend({ [OPENID]: { body: '{"issuer":"https://login.example/common/v2.0"}' } });
    const found = await clinic.throughFront();
    expect(found.steps['entra-tenant']?.seen).toBe(
      `The tenant signs as "https://login.example/common/v2.0", and Frame takes only "${authority}/${AXE}/v2.0".`,
    );
  });

  test.each([
    ['none', '{"keys":[]}', 'the keys hold none that could be used'],
    ['others than RSA', '{"keys":[{"kty":"EC","kid":"1"}]}', 'the keys hold none that could be used'],
    ['no list', '{"value":1}', 'no list of keys'],
    ['a page', '<p>', 'no list of keys'],
  ])('gives %s for keys', async (_, body, seen) => {
    await pretend({ [KEYS]: { body } });
    const found = await clinic.throughFront();
    expect(found.first_broken).toBe('entra-keys');
    expect(found.steps['entra-keys']?.seen).toContain(seen);
  });

  test('does not know the redirect URI', async () => {
    await clinic.writeCustomers(clinic.customers.replaceAll(ORIGIN, 'https://new.axe.example'));
    const found = await clinic.diagnose('axe --connect 127.0.0.1:1');
    expect(found.steps['redirect-uri']).toMatchObject({
      outcome: 'broken',
      seen: 'Entra does not know the redirect URI https://new.axe.example/callback/entra (AADSTS50011).',
      mend: expect.stringContaining(AXE_APP),
    });
  });

  test('does not know the application', async () => {
    await clinic.writeCustomers(clinic.customers.replace(`client_id: ${AXE_APP}`, `client_id: ${BOLT_APP}`));
    const found = await clinic.throughFront();
    expect(found.steps['redirect-uri']).toMatchObject({
      outcome: 'broken',
      seen: expect.stringContaining('AADSTS700016'),
    });
  });

  test.each([
    ['a page without a word of it', { body: '<html>Sign in</html>' }, 'Entra says status 200 without a number;'],
    ['its own sign-in page', { status: 302, headers: { location: '/login?x=1' } }, 'Entra says status 302 without'],
    ['another refusal', { body: 'AADSTS90094: x' }, 'Entra says AADSTS90094;'],
  ])('shows %s, so that nobody can tell', async (_, answer, seen) => {
    await pretend({ [KEYS]: { body: '{"keys":[]}' }, [AUTHORIZE]: answer });
    const found = await clinic.throughFront();
    expect(found.steps['redirect-uri']).toMatchObject({ outcome: 'unclear', seen: expect.stringContaining(seen) });
    expect(found.first_broken).toBe('entra-keys');
  });
});

describe('clocks', () => {
  test('the origin is off, Entra is not', async () => {
    clinic.front.change(undefined, withHeaders({ date: new Date(Date.now() - 300_000).toUTCString() }));
    const found = await clinic.throughFront();
    expect(found).toMatchObject({ exit: 1, first_broken: 'clock' });
    expect(found.steps.clock?.seen).toMatch(/^axe\.example is (299|300|301) s behind this computer\.$/);
    expect(found.steps.clock?.mend).toContain('Let the clock of axe.example follow');
  });

  test.each([
    ['nobody said the time', [], 'unclear', undefined],
    [
      'all agree',
      [
        ['a', 59],
        ['b', -59],
      ],
      'ok',
      undefined,
    ],
    [
      'this computer is off',
      [
        ['a', 100],
        ['b', 140],
      ],
      'broken',
      "Set this computer's clock",
    ],
    ['one alone is off', [['a', 100]], 'broken', 'Compare with a third clock'],
    [
      'both are off, each in its own way',
      [
        ['a', 100],
        ['b', -100],
      ],
      'broken',
      'Let the clock of a and b',
    ],
  ] as const)('%s', (_, aheadBy, outcome, mend) => {
    const found = judgeClocks(new Map(aheadBy));
    expect(found.outcome).toBe(outcome);
    expect(found.mend).toEqual(mend === undefined ? undefined : expect.stringContaining(mend));
  });
});
