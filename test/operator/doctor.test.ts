import { describe, expect, onTestFinished, test } from 'vitest';
import { openServer } from '../../src/database/server.ts';
import { observeNothing } from '../../src/observe.ts';
import { rowsAsOwner } from '../support/tenants.ts';
import { AXE, boltCertificate, entra, namesOf, ORIGIN, openClinic } from './doctor-clinic.ts';

const clinic = openClinic();

describe('a way that is open', () => {
  test('is walked to its end, each step with a fact', async () => {
    const { exit, out, err } = await clinic.doctor(`axe --connect 127.0.0.1:${clinic.front.port}`);
    expect([exit, err]).toEqual([0, '']);
    expect(out.split('\n')).toEqual([
      'ok         customer           AXE LLC at https://axe.example, sign_in broker.',
      'skipped    name               --connect leads around it.',
      'ok         connection         127.0.0.1 takes connections.',
      'ok         certificate        For axe.example, 0 days left, and trusted.',
      'ok         gateway            Release dev is ready.',
      'ok         challenge          401 with one Bearer challenge that leads to the metadata.',
      'ok         resource-metadata  The same at all three addresses.',
      'ok         sign-in-metadata   Issuer https://axe.example, with S256.',
      'ok         registration       A program without addresses is refused, as it must be; nothing was registered.',
      `ok         entra-tenant       Its issuer is ${entra.authority}/${AXE}/v2.0.`,
      expect.stringMatching(/^ok {9}entra-keys {9}\d RSA keys? (verify|verifies) its tokens\.$/),
      'ok         redirect-uri       Entra knows https://axe.example/callback/entra.',
      `ok         clock              Within 60 s of axe.example and ${new URL(entra.authority).host}.`,
      'ok         mcp-2025-11-25     Asks for a token, as it must.',
      'ok         mcp-2026-07-28     Asks for a token, as it must.',
      'ok         preflight          A page may read the metadata.',
      'skipped    machine            customers.yaml names no host.',
      '',
      'Nothing is broken.',
    ]);
  });

  test('of a customer whose people sign in at Entra itself has fewer steps', async () => {
    clinic.front.show(boltCertificate);
    const found = await clinic.diagnose(`bolt --connect 127.0.0.1:${clinic.front.port}`);
    expect(found).toMatchObject({ exit: 0, first_broken: null });
    expect(namesOf(found, 'skipped')).toEqual(['name', 'sign-in-metadata', 'registration', 'redirect-uri', 'machine']);
  });

  test('on this machine has neither a name nor a certificate', async () => {
    const gateway = await clinic.home.serve({
      env: { SECRET: 's', FRAME_ORIGIN: 'http://127.0.0.1:39871', FRAME_LISTEN: '127.0.0.1:39871' },
    });
    onTestFinished(async () => void (await gateway.stop()));
    const found = await clinic.diagnose('axe --origin http://127.0.0.1:39871');
    expect(namesOf(found, 'skipped')).toEqual(['name', 'certificate', 'machine']);
    // Entra was told of the public one only.
    expect(found.first_broken).toBe('redirect-uri');
  });

  test('leaves nothing behind: no program is registered', async () => {
    const server = await openServer({ databaseUrl: undefined, dataFolder: clinic.home.data, observe: observeNothing });
    onTestFinished(() => server.close());
    await clinic.throughFront();
    expect(await rowsAsOwner(server, 'frame_control', 'select * from frame.oauth_clients')).toEqual([]);
  });
});

describe('with a token', () => {
  const withToken = async (token: string, more = '') => {
    clinic.front.show(boltCertificate);
    await clinic.home.writeFile('token', `${token}\n`, 0o600);
    return clinic.diagnose(`bolt --connect 127.0.0.1:${clinic.front.port} --token-file token ${more}`);
  };

  test('the tools are listed in both eras', async () => {
    const found = await withToken(await entra.mint('ada@bolt.example'));
    expect(found.exit).toBe(0);
    expect(found.steps['mcp-2025-11-25']?.seen).toMatch(/^Lists [1-9]\d? tools\.$/);
    expect(found.steps['mcp-2026-07-28']?.seen).toBe(found.steps['mcp-2025-11-25']?.seen);
  });

  test('it may come from the environment, and is nowhere in what is printed', async () => {
    const token = await entra.mint('ada@bolt.example');
    clinic.front.show(boltCertificate);
    const printed = await clinic.doctor(`bolt --connect 127.0.0.1:${clinic.front.port}`, {
      FRAME_DOCTOR_TOKEN: token,
    });
    expect(printed.out).toContain('Lists ');
    expect(printed.out + printed.err).not.toContain(token.slice(-20));
  });

  test('of somebody whom no rule admits', async () => {
    const found = await withToken(await entra.mint('eve@bolt.example'));
    expect(found).toMatchObject({ exit: 1, first_broken: 'mcp-2025-11-25' });
    expect(found.steps['mcp-2025-11-25']).toMatchObject({
      seen: expect.stringContaining('403'),
      mend: expect.stringContaining('frame can'),
    });
  });

  test('that is none of this gateway', async () => {
    const found = await withToken('abc.def.ghi');
    expect(found.steps['mcp-2026-07-28']).toMatchObject({
      outcome: 'broken',
      seen: expect.stringContaining('401'),
      mend: expect.stringContaining('fresh'),
    });
  });

  test('that is missing, or no token, is wrong usage', async () => {
    await clinic.home.writeFile('token', 'two words\n');
    for (const file of ['token', 'nowhere']) {
      const { exit, err } = await clinic.doctor(`bolt --token-file ${file}`);
      expect([exit, err]).toEqual([2, expect.stringContaining('holds no access token')]);
    }
    expect((await clinic.doctor('bolt', { FRAME_DOCTOR_TOKEN: '' })).exit).toBe(2);
  });
});

describe('wrong usage and configuration', () => {
  test.each([
    ['nobody', '', 'A word is missing'],
    ['two customers', 'axe bolt', 'one word too many'],
    ['a slip', 'axi', 'did you mean `axe`?'],
    ['no address', 'axe --connect 3712', '--connect takes host:port'],
    ['no port', 'axe --connect localhost:0', '--connect takes host:port'],
  ])('%s', async (_, line, sentence) => {
    expect(await clinic.doctor(line)).toMatchObject({
      exit: 2,
      out: '',
      err: expect.stringContaining(sentence),
    });
  });

  test('a customer without an origin', async () => {
    await clinic.writeCustomers(clinic.customers.replace(`    origin: ${ORIGIN}\n`, ''));
    expect(await clinic.doctor('axe')).toMatchObject({
      exit: 2,
      err: expect.stringContaining('has no `origin`'),
    });
  });

  test('mistakes in customers.yaml', async () => {
    await clinic.writeCustomers('customers: {}');
    expect(await clinic.doctor('axe')).toMatchObject({ exit: 2, out: '' });
  });
});
