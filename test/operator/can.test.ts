import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createCanCommand } from '../../src/operator/commands/can.ts';
import { makeFolder, run, TOOLS } from './fixture.ts';

const can = createCanCommand(TOOLS);
const GROUP = '00000000-0000-4000-8000-000000000077';
const OID = '00000000-0000-4000-8000-000000000042';

let folder: Awaited<ReturnType<typeof makeFolder>>;
beforeAll(async () => {
  folder = await makeFolder();
});
afterAll(() => folder[Symbol.asyncDispose]());

const ask = (line: string, env: NodeJS.ProcessEnv = {}) => run(can, folder.path, line, env);
const answerTo = async (line: string) => JSON.parse((await ask(`${line} --json`)).out);

test('every rule, the one that decides, what they may, and who may the rest', async () => {
  expect(await ask('ai@axellc.com')).toEqual({
    exit: 0,
    err: '',
    out: `ai@axellc.com belongs to AXE LLC (axe).
  rule 1  ai@axellc.com → admin: matches
  rule 2  role:Frame.Developer → dev: is not reached
  rule 3  oid:${OID} → editor: is not reached
  rule 4  group:${GROUP} → view: is not reached
  rule 5  *@axellc.com → view: is not reached
Rule 1 decides: role admin, entities axe, studio.
  Personal data: in plain.
${TOOLS.map(({ name, title }) => `  yes  ${name.padEnd(15)}  ${title}`).join('\n')}`,
  });
});

test('what only a token knows is left open', async () => {
  const { exit, out } = await ask('anna@axellc.com');
  expect(exit).toBe(0);
  expect(out).toContain('rule 1  ai@axellc.com → admin: is for another address');
  expect(out).toContain(
    'rule 4  group:00000000-0000-4000-8000-000000000077 → view: depends on the groups in the token',
  );
  expect(out).toContain(
    'Rule 5 decides: role view, entities axe. But their token decides whether rule 2, 3, or 4 comes first',
  );
  expect(out).toContain('Personal data: masked.');
  expect(out).toContain('yes  select_rows ');
  expect(out).toMatch(/no {3}insert_rows +the least role that has it is editor/);
  expect(out).toMatch(/no {3}plan_change +the least role that has it is dev/);
  expect(out).toMatch(/no {3}search_audit +the least role that has it is admin/);
});

test.each([
  ['anna@axellc.com --app-role Frame.Developer', 2, []],
  [`anna@axellc.com --app-role Other --oid ${OID}`, 3, []],
  [`anna@axellc.com --app-role Other --oid ${GROUP} --group ${OID} --group ${GROUP}`, 4, []],
  [`anna@axellc.com --group ${GROUP}`, 4, [2, 3]],
  [`anna@axellc.com --group ${OID}`, 5, [2, 3]],
  [`anna@axellc.com --group ${OID} --oid ${GROUP} --app-role Other`, 5, []],
  ['ANNA@AXELLC.COM', 5, [2, 3, 4]],
])('%s: rule %i decides, but for %j', async (line, rule, dependsOn) => {
  expect(await answerTo(line)).toMatchObject({ customer: 'axe', admitted: true, rule, depends_on: dependsOn });
});

describe('not admitted', () => {
  test('a domain of nobody', async () => {
    expect(await ask('a@nowhere.example')).toEqual({
      exit: 1,
      err: '',
      out: 'a@nowhere.example is not admitted: no customer has this e-mail domain.',
    });
    expect(await answerTo('a@nowhere.example')).toEqual({
      email: 'a@nowhere.example',
      admitted: false,
      reason: 'no customer has this e-mail domain',
    });
  });

  test('a domain of another than the customer that was asked about', async () => {
    const out = 'a@nordwind.example is not admitted: nordwind.example is not a domain of axe.';
    expect(await ask('a@nordwind.example --customer axe')).toMatchObject({ exit: 1, out });
    expect(await ask('a@nordwind.example', { FRAME_CUSTOMER: 'axe' })).toMatchObject({ exit: 1, out });
  });

  test('a domain for which no rule speaks', async () => {
    const open = await ask('anna@axe.example');
    expect(open.exit).toBe(1);
    expect(open.out).toContain('Their token decides whether rule 2, 3, or 4 admits them');
    const closed = await ask(`anna@axe.example --group ${OID} --oid ${GROUP} --app-role Other`);
    expect(closed.exit).toBe(1);
    expect(closed.out).toContain('No rule matches: they are not admitted.');
    expect(closed.out).not.toContain('yes  ');
  });
});

describe('personal data', () => {
  const withReveal = createCanCommand([...TOOLS, { name: 'reveal', title: 'Reveal', right: 'pii:read' as const }]);

  test('is read in plain, and revealed, only by a role that names the right', async () => {
    const { out } = await run(withReveal, folder.path, 'ai@axellc.com reveal');
    expect(out).toContain('Personal data: in plain.');
    expect(out).toContain('yes  reveal');
    const other = await run(withReveal, folder.path, 'anna@axellc.com reveal');
    expect(other).toMatchObject({
      exit: 1,
      out: expect.stringContaining('no   reveal  the least role that has it is admin'),
    });
    expect(await answerTo('ai@axellc.com')).toMatchObject({ rights: ['pii:read'] });
    expect(await answerTo('anna@axellc.com')).toMatchObject({ rights: [] });
  });

  test('every tool is not the right to it', async () => {
    await using mine = await makeFolder();
    await writeFile(
      join(mine.path, 'config/roles.yaml'),
      'roles:\n  admin: { tools: ["*"] }\n  dev: { tools: ["*", pii:read] }\n  editor: { tools: ["*"] }\n  view: { tools: ["*"] }\n',
    );
    const { exit, out } = await run(withReveal, mine.path, 'ai@axellc.com reveal');
    expect(exit).toBe(1);
    expect(out).toContain('no   reveal  the least role that has it is dev');
  });
});

describe('one tool', () => {
  test('is answered by the exit code', async () => {
    expect(await ask('anna@axellc.com select_rows')).toMatchObject({ exit: 0 });
    expect(await ask('anna@axellc.com insert_rows')).toMatchObject({ exit: 1 });
    expect(await ask('anna@axellc.com insert_rows --app-role Frame.Developer')).toMatchObject({ exit: 0 });
    expect(await ask('anna@axe.example select_rows')).toMatchObject({ exit: 1 });
  });

  test('is the only one spoken of', async () => {
    const { out } = await ask('anna@axellc.com insert_rows');
    expect(out.split('\n').at(-1)).toBe('  no   insert_rows  the least role that has it is editor');
    expect(out).not.toContain('select_rows');
  });

  test('must exist', async () => {
    expect(await ask('anna@axellc.com insert_row')).toMatchObject({
      exit: 2,
      err: expect.stringContaining('There is no tool `insert_row`; did you mean `insert_rows`?'),
    });
  });
});

describe('wrong questions', () => {
  test.each([
    ['', 'A word is missing: <email>.'],
    ['anna', '`anna` is not an e-mail address.'],
    ['@axellc.com', '`@axellc.com` is not an e-mail address.'],
    ['a@b@axellc.com', 'is not an e-mail address.'],
    ['anna@axellc.com --group', 'argument missing'],
    ['anna@axellc.com --customer ax', 'customers.yaml has no customer `ax`; did you mean `axe`?'],
    ['anna@axellc.com --customers nowhere.yaml', 'nowhere.yaml  there is no such file'],
  ])('%j', async (line, sentence) => {
    expect(await ask(line)).toMatchObject({ exit: 2, out: '', err: expect.stringContaining(sentence) });
  });

  test('configuration that is wrong', async () => {
    await using other = await makeFolder();
    await rm(join(other.path, 'config/roles.yaml'));
    expect(await run(can, other.path, 'anna@axellc.com')).toMatchObject({
      exit: 2,
      err: 'config/roles.yaml  there is no such file',
    });
  });
});
