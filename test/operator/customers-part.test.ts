import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { parseCustomers } from '../../src/customers/customers-file.ts';
import { WrongConfiguration } from '../../src/errors.ts';
import { customersPart } from '../../src/operator/customers-part.ts';
import { changed, customersIn, ROLES, TWO_CUSTOMERS } from '../customers/fixture.ts';
import { makeFolder } from './fixture.ts';

let folder: Awaited<ReturnType<typeof makeFolder>>;
beforeAll(async () => {
  folder = await makeFolder();
});
afterAll(() => folder[Symbol.asyncDispose]());

async function partOf(text: string | Buffer, id = 'axe') {
  const file = join(folder.path, 'part.yaml');
  await writeFile(file, text);
  return await customersPart(file, id);
}

const SECRET = `      scope: access_as_user
      client_id: 6f0c0000-0000-4000-8000-00000000000a
      client_secret: "\${AXE_ENTRA_CLIENT_SECRET}"   # in the safe, drawer 3
    sign_in: broker
    entities:
      axe:`;
const WITH_SECRET = changed(
  `      scope: access_as_user
    sign_in: direct
    entities:
      axe:`,
  SECRET,
);

describe('what one machine is given', () => {
  test('means what the whole file says about that customer', async () => {
    const { text } = await partOf(TWO_CUSTOMERS);
    expect(customersIn(text).all).toEqual([customersIn(TWO_CUSTOMERS).byId('axe')]);
  });

  test('has no word of another company, and no comment', async () => {
    const { text } = await partOf(`# both of them owe us money\n${WITH_SECRET}# nordwind pays late\n`);
    expect(text).not.toMatch(/nordwind|#|money|drawer|bb$/im);
    const { text: other } = await partOf(WITH_SECRET, 'nordwind');
    expect(other).not.toMatch(/axe|\$\{/i);
  });

  test('keeps variables as they are, and names them once each', async () => {
    const text = changed('name: AXE LLC\n', `name: \${A_NAME} and \${A_NAME}\n`, WITH_SECRET);
    const part = await partOf(text);
    expect(part.variables).toEqual(['A_NAME', 'AXE_ENTRA_CLIENT_SECRET']);
    expect(parse(part.text).customers.axe).toMatchObject({
      name: `\${A_NAME} and \${A_NAME}`,
      entra: { client_secret: `\${AXE_ENTRA_CLIENT_SECRET}` },
    });
  });

  test('is the same text for the same words, however they are written', async () => {
    const flow = JSON.stringify(parse(TWO_CUSTOMERS));
    expect((await partOf(flow)).text).toBe((await partOf(TWO_CUSTOMERS)).text);
  });

  test.each([
    ['quotes, colons, hashes and braces', `'a: "b" # {c}, [d] & *e %f'`],
    ['a text that looks like a number', '"0123"'],
    ['a text that looks like nothing', '"null"'],
    ['several lines', '"one\\ntwo: three\\n"'],
    ['a very long line', `"${'long words '.repeat(50)}end"`],
  ])('carries %s unharmed', async (_, name) => {
    const text = changed('name: AXE LLC\n', `name: ${name}\n`);
    expect(parse((await partOf(text)).text).customers.axe).toEqual(parse(text).customers.axe);
  });

  test('writes out what stands at an anchor of another company, and leaves the anchor there', async () => {
    const anchored = changed('audience: [api://', 'audience: &ours [api://');
    const shared = changed('audience: [6f0c0000-0000-4000-8000-00000000000b]', 'audience: *ours', anchored);
    const { text } = await partOf(shared, 'nordwind');
    expect(text).not.toContain('ours');
    expect(customersIn(text).all).toEqual([customersIn(shared).byId('nordwind')]);
  });
});

describe('what a screen is shown', () => {
  test('is the same when a variable stands for the secret', async () => {
    const { text, shown } = await partOf(WITH_SECRET);
    expect(shown).toBe(text);
  });

  test.each(['hunter2', `x\${AXE_ENTRA_CLIENT_SECRET}`, '1234'])(
    'leaves out a secret that was written: %s',
    async secret => {
      const { text, shown } = await partOf(
        changed(`"\${AXE_ENTRA_CLIENT_SECRET}"`, JSON.stringify(secret), WITH_SECRET),
      );
      expect(text).toContain(secret);
      expect(shown).not.toContain(secret);
      expect(parse(shown).customers.axe.entra.client_secret).toBe('…');
    },
  );
});

describe('a file that cannot be used', () => {
  test.each([
    ['another customer', TWO_CUSTOMERS, 'nordwnd', /no customer `nordwnd`; did you mean `nordwind`\?/],
    ['a name that every object has', TWO_CUSTOMERS, 'constructor', /no customer `constructor`/],
    ['no customers', 'customers: 7\n', 'axe', /no customer `axe`/],
    ['nothing in it', '', 'axe', /the file is empty/],
    ['no YAML', 'customers: {\n', 'axe', /not valid YAML/],
    ['the same customer twice', `${TWO_CUSTOMERS}  axe: {}\n`, 'axe', /`axe` stands here a second time/],
    ['bytes that are no text', Buffer.from([0xff, 0xfe, 0x00]), 'axe', /not UTF-8/],
  ])('%s', async (_, text, id, sentence) => {
    const thrown = await partOf(text, id).catch(error => error);
    expect(thrown).toBeInstanceOf(WrongConfiguration);
    expect(thrown.message).toMatch(sentence);
  });

  test('is not there', async () => {
    await expect(customersPart(join(folder.path, 'nowhere.yaml'), 'axe')).rejects.toThrow(/there is no such file/);
  });

  test('its mistakes stay for those who read it whole', async () => {
    const { text } = await partOf(changed('role: admin', 'role: king'));
    expect(parseCustomers('customers.yaml', text, { roles: ROLES, env: {} })).toMatchObject({ mistakes: [{}] });
  });
});
