import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseCustomers, readCustomers, servedCustomers } from '../../src/customers/customers-file.ts';
import { customersJsonSchema } from '../../src/customers/customers-schema.ts';
import { WrongConfiguration } from '../../src/errors.ts';
import { changed, customerIn, customersIn, mistakesIn, ROLES, TWO_CUSTOMERS } from './fixture.ts';

const root = join(import.meta.dirname, '../..');
const NORDWIND = TWO_CUSTOMERS.slice(TWO_CUSTOMERS.indexOf('  nordwind:'));
const AXE_SCOPE = 'frame]\n      scope: access_as_user';
const NORDWIND_SCOPE = '0000000b]\n      scope: access_as_user';

describe('what is right', () => {
  test('everything arrives, defaults filled in', () => {
    const { all } = customersIn(TWO_CUSTOMERS);
    expect(all.map(({ id }) => id)).toEqual(['axe', 'nordwind']);
    expect(all[1]).toEqual({
      id: 'nordwind',
      name: 'Nordwind GmbH',
      origin: 'https://nordwind.example',
      host: undefined,
      domains: ['nordwind.example'],
      entra: {
        tenantId: '122fb574-0000-4000-8000-0000000000bb',
        audience: ['6f0c0000-0000-4000-8000-00000000000b'],
        scope: 'access_as_user',
        clientId: undefined,
        clientSecret: undefined,
        authority: 'https://login.microsoftonline.com',
        guests: false,
      },
      signIn: 'direct',
      entities: [{ id: 'nordwind', name: 'Nordwind GmbH', environments: ['prod'] }],
      access: [
        {
          number: 1,
          text: '*@nordwind.example',
          who: { kind: 'domain', domain: 'nordwind.example' },
          role: 'view',
          entities: undefined,
        },
      ],
      services: {},
    });
  });

  test('each form of who', () => {
    expect(customerIn(TWO_CUSTOMERS).access.map(({ who }) => who)).toEqual([
      { kind: 'person', username: 'ai@axellc.com' },
      { kind: 'app-role', appRole: 'Frame.Developer' },
      { kind: 'object', objectId: '00000000-0000-4000-8000-000000000042' },
      { kind: 'group', groupId: '00000000-0000-4000-8000-000000000077' },
      { kind: 'domain', domain: 'axellc.com' },
    ]);
  });

  test('domains, tenants and people compare in lower case', () => {
    const text = changed('[nordwind.example]', '[NordWind.Example]', changed('0000000000bb', '0000000000BB'));
    const customers = customersIn(changed('ai@axellc.com', 'AI@AxeLLC.com', text));
    expect(customers.byDomain('NORDWIND.example')?.id).toBe('nordwind');
    expect(customers.byTenant('122FB574-0000-4000-8000-0000000000bb')?.id).toBe('nordwind');
    expect(customers.byId('axe')?.access[0]).toMatchObject({
      text: 'AI@AxeLLC.com',
      who: { username: 'ai@axellc.com' },
    });
    expect(customers.byId('toString')).toBeUndefined();
    expect(customers.byDomain('example')).toBeUndefined();
  });

  test('a name of another customer may be the same as one here', () => {
    expect(mistakesIn(changed('      nordwind: {', '      axe: {'))).toEqual([]);
  });

  test.each([
    'http://localhost:3712',
    'http://127.0.0.1:3712',
    'http://[::1]:3712',
    'http://nordwind.localhost:3712',
    'https://nordwind.example:8443',
  ])('the origin %s', origin => {
    expect(mistakesIn(changed('https://nordwind.example', `"${origin}"`))).toEqual([]);
  });

  test('anchors', () => {
    const anchored = changed('environments: [prod, dev]', 'environments: &all [prod, dev]');
    const text = changed('{ name: AXE Studio }', '{ name: AXE Studio, environments: *all }', anchored);
    expect(customerIn(text).entities[1]?.environments).toEqual(['prod', 'dev']);
  });
});

describe('what is wrong, and where', () => {
  test.each([
    ['an unknown key', '    host: axe-macmini', '    hots: axe-macmini', '5:5', 'did you mean `host`?'],
    ['a key like no other', '    host: axe-macmini', '    colour: blue', '5:5', 'known here: `name`, `origin`'],
    ['an unknown key of a rule', 'dev, entities: [axe] }', 'dev, entites: [axe] }', '17:51', 'mean `entities`?'],
    ['a merge key', '    host: axe-macmini', '    <<: { host: a }', '5:5', 'unknown key `<<`'],
    ['a missing key', '    name: AXE LLC\n', '', '2:3', '`name` is missing'],
    ['a missing key of a rule', '{ who: ai@axellc.com, role: admin }', '{ who: ai@axellc.com }', '16:9', '`role`'],
    ['a number for text', 'name: AXE Studio', 'name: 42', '14:23', 'put it in quotes'],
    ['a list for text', 'name: AXE Studio', 'name: [AXE]', '14:23', 'not a list'],
    ['text for a list', 'domains: [nordwind.example]', 'domains: nordwind.example', '27:14', 'must be a list'],
    ['text for yes or no', AXE_SCOPE, `${AXE_SCOPE}\n      guests: yes`, '11:15', 'true or false'],
    ['a customer of nothing', NORDWIND, '  nordwind:\n', '24:3', 'nothing stands here'],
    ['an id in capitals', '  nordwind:\n', '  Nordwind:\n', '24:3', '`Nordwind`'],
    ['an id of one letter', '  nordwind:\n', '  n:\n', '24:3', '2 to 31'],
    ['an id of digits', '  nordwind:\n', '  7:\n', '24:3', '`7`'],
    ['the name of our own database', '  nordwind:\n', '  control:\n', '24:3', 'Frame needs itself'],
    ['an id twice', '  nordwind:\n', '  axe:\n', '24:3', '`axe` stands here a second time'],
    ['a key that objects know', '  nordwind:\n', '  __proto__:\n', '24:3', 'plain word'],
    ['an entity in capitals', '      studio:', '      Studio:', '14:7', '`Studio`'],
    ['two entities, one schema', '      studio: {', '      a-b: { name: A }\n      a_b: {', '15:7', 'share one schema'],
    ['no environment', 'environments: [prod, dev]', 'environments: []', '13:43', 'must not be empty'],
    ['an environment twice', 'environments: [prod, dev]', 'environments: [dev, dev]', '13:43', 'once'],
    ['an unknown environment', 'environments: [prod, dev]', 'environments: [prd]', '13:44', 'did you mean `prod`?'],
    ['no entity', 'entities:\n      nordwind: { name: Nordwind GmbH }', 'entities: {}', '33:15', 'empty'],
    ['a domain of another', '[nordwind.example]', '[nordwind.example, AxeLLC.com]', '27:33', 'domain of `axe` already'],
    ['a domain twice', '[nordwind.example]', '[nordwind.example, Nordwind.Example]', '27:33', '`nordwind` already'],
    ['no domain', 'axe.example]', 'axe_example]', '6:27', 'a domain such as'],
    ['a tenant of another', '0000000000bb', '000000000001', '29:18', 'tenant of `axe` already'],
    ['no tenant', '122fb574-0000-4000-8000-0000000000bb', 'common', '29:18', 'GUID'],
    ['no audience', '[api://axe.example/frame]', '[]', '9:17', 'must not be empty'],
    ['an empty audience', '[api://axe.example/frame]', '[""]', '9:18', 'must not be empty'],
    ['two scopes', NORDWIND_SCOPE, `${NORDWIND_SCOPE} openid`, '31:14', 'one word'],
    ['a client id', AXE_SCOPE, `${AXE_SCOPE}\n      client_id: frame`, '11:18', 'GUID'],
    ['an empty secret', AXE_SCOPE, `${AXE_SCOPE}\n      client_secret: ""`, '11:22', '`client_secret` must not be'],
    ['an open authority', AXE_SCOPE, `${AXE_SCOPE}\n      authority: http://a.example`, '11:18', 'https'],
    ['an authority with a path', AXE_SCOPE, `${AXE_SCOPE}\n      authority: https://a.example/b`, '11:18', 'no path'],
    ['an origin of another', 'https://nordwind.example', 'https://axe.example', '26:13', 'the origin of `axe`'],
    ['an origin with a path', 'https://nordwind.example', 'https://n.example/frame', '26:13', 'no path'],
    ['an origin with a slash', 'https://nordwind.example', 'https://n.example/', '26:13', 'no slash'],
    ['an origin in capitals', 'https://nordwind.example', 'https://N.example', '26:13', 'lower case'],
    ['an origin with a name', 'https://nordwind.example', 'https://me@n.example', '26:13', 'only'],
    ['an origin with its default port', 'https://nordwind.example', 'https://n.example:443', '26:13', 'port'],
    ['an open origin', 'https://nordwind.example', 'http://n.example', '26:13', 'must be https'],
    ['an origin that looks local', 'https://nordwind.example', 'http://127.0.0.1.n.example', '26:13', 'https'],
    ['an origin without a scheme', 'https://nordwind.example', 'n.example', '26:13', 'must be an origin'],
    ['a file as origin', 'https://nordwind.example', 'file:///etc', '26:13', 'must be an origin'],
    ['an option as host', 'axe-macmini', '-oProxyCommand=x', '5:11', 'ssh destination'],
    [
      'broker',
      'sign_in: direct\n    entities:\n      axe',
      'sign_in: broker\n    entities:\n      axe',
      '7:5',
      '`client_id` and `client_secret`',
    ],
    [
      'broker by default',
      '    sign_in: direct\n    entities:\n      axe',
      '    entities:\n      axe',
      '7:5',
      '`client_id` and `client_secret`',
    ],
    [
      'a sign-in of neither kind',
      'direct\n    entities:\n      axe',
      'dirct\n    entities:\n      axe',
      '11:14',
      '`direct`?',
    ],
    [
      'no rules',
      'access:\n      - { who: "*@nordwind.example", role: view }',
      'access: []',
      '35:13',
      'must not be empty',
    ],
    ['rules left out', '\n      - { who: "*@nordwind.example", role: view }', '', '35:5', 'must be a list'],
    [
      'a role that is not there',
      '"*@nordwind.example", role: view',
      '"*@nordwind.example", role: veiw',
      '36:44',
      '`view`?',
    ],
    [
      'a role that objects know',
      '"*@nordwind.example", role: view',
      '"*@nordwind.example", role: toString',
      '36:44',
      'no role',
    ],
    ['an entity that is not there', 'dev, entities: [axe]', 'dev, entities: [axe, studo]', '17:67', 'mean `studio`?'],
    ['an entity of another', 'dev, entities: [axe]', 'dev, entities: [nordwind]', '17:62', 'no entity `nordwind`'],
    ['a rule for no entity', 'dev, entities: [axe]', 'dev, entities: []', '17:61', 'must not be empty'],
    ['a rule with an entity twice', 'dev, entities: [axe]', 'dev, entities: [axe, axe]', '17:61', 'once'],
    ['who: a word', '"*@nordwind.example"', 'everybody', '36:16', 'must be name@domain'],
    ['who: a star', '"*@nordwind.example"', '"*"', '36:16', 'must be name@domain'],
    ['who: a pattern', '"*@nordwind.example"', '"*@*.example"', '36:16', 'must be name@domain'],
    ['who: no quotes', '"*@nordwind.example"', '*@nordwind.example', '36:16', 'needs quotes'],
    ['who: no GUID', 'oid:00000000-0000-4000-8000-000000000042', 'oid:42', '18:16', 'oid:GUID'],
    ['who: an empty role', 'role:Frame.Developer', 'role:', '17:16', 'role:App.Role'],
    ['who: two words', 'role:Frame.Developer', 'role:Frame Developer', '17:16', 'role:App.Role'],
    ['who: a letter that lower-cases to k', 'ai@axellc.com', '\u212A@axellc.com', '16:16', 'must be name@domain'],
    ['who: a domain of another', '"*@nordwind.example"', '"*@axellc.com"', '36:16', 'can never match'],
    ['who: a person of another', 'ai@axellc.com', 'ai@nordwind.example', '16:16', 'can never match'],
    ['a port twice', '127.0.0.1:8780', '10.0.0.1:8443', '23:15', 'the port of `vault`'],
    ['no port', '127.0.0.1:8780', '127.0.0.1', '23:15', 'host:port'],
    ['port 0', '127.0.0.1:8780', '127.0.0.1:0', '23:15', 'host:port'],
    ['a port too high', '127.0.0.1:8780', '127.0.0.1:70000', '23:15', 'host:port'],
    ['a service in our place', '      stream:', '      frame:', '23:7', 'Frame needs itself'],
    ['a tab', '    host: axe-macmini', '\thost: axe-macmini', '5:1', 'Tabs are not allowed'],
    ['an open quote', 'name: AXE Studio', 'name: "AXE Studio', '14:36', 'Missing closing'],
    ['a tag', 'name: AXE Studio', 'name: !secret AXE', '14:23', '!secret'],
  ])('%s', (_, passage, replacement, position, words) => {
    const mistakes = mistakesIn(changed(passage, replacement));
    expect(mistakes).toEqual([expect.stringContaining(words)]);
    expect(mistakes[0]?.split(' ')[0]).toBe(position);
  });

  test.each([
    ['nothing', '', '1:1 the file is empty'],
    ['comments', '# soon\n', '1:1 the file is empty'],
    ['a list', '- axe\n', '1:1 the file must be keys with values, not a list'],
    ['a word', 'axe', '1:1 the file must be keys with values, not text'],
    ['no customer', 'customers: {}\n', '1:12 `customers` must not be empty'],
    ['two documents', `${TWO_CUSTOMERS}---\n${TWO_CUSTOMERS}`, '37:1 a second document begins here; write one only'],
  ])('a file of %s', (_, text, mistake) => {
    expect(mistakesIn(text)).toEqual([mistake]);
  });

  test.each([100, 300, 305, 800, 1000])('a file that ends after %i letters', length => {
    expect(mistakesIn(TWO_CUSTOMERS.slice(0, length))).not.toEqual([]);
  });

  test('mistakes of every kind are told at once, in the order of the file', () => {
    let text = changed('    host: axe-macmini', '    hots: axe-macmini');
    text = changed('role: admin', 'role: amdin', text);
    text = changed('"*@axellc.com"', 'everybody', text);
    text = changed('[nordwind.example]', '[axellc.com, nordwind.example]', text);
    text = changed('6f0c0000-0000-4000-8000-00000000000b', `"\${NORDWIND}"`, text);
    text = changed('  nordwind:\n', '  Nordwind:\n', text);
    expect(mistakesIn(text).map(mistake => mistake.split(' ')[0])).toEqual([
      '5:5',
      '16:37',
      '20:16',
      '24:3',
      '27:15',
      '30:18',
    ]);
  });

  test('roles are left alone when nobody knows them', () => {
    const text = changed('role: admin', 'role: anything');
    expect(parseCustomers('customers.yaml', text, { roles: undefined, env: {} })).toHaveProperty('customers');
  });
});

describe('an origin of two customers', () => {
  const secrets =
    'scope: access_as_user\n      client_id: 6f0c0000-0000-4000-8000-00000000000b\n      client_secret: s';
  const shared = TWO_CUSTOMERS.replace('https://nordwind.example', 'https://axe.example');
  const withSecrets = shared.replaceAll('scope: access_as_user', secrets);

  test('is right when people of both sign in through the gateway', () => {
    expect(mistakesIn(withSecrets.replaceAll('sign_in: direct', 'sign_in: broker'))).toEqual([]);
  });

  test.each([
    ['the first', 'axe'],
    ['the second', 'nordwind'],
  ])('is a mistake when only %s does', (_, entity) => {
    const entities = `\n    entities:\n      ${entity}`;
    const text = changed(`sign_in: direct${entities}`, `sign_in: broker${entities}`, withSecrets);
    expect(mistakesIn(text)).toEqual([expect.stringContaining('is the origin of `axe` already')]);
  });
});

describe('variables', () => {
  const withSecret = changed(AXE_SCOPE, `${AXE_SCOPE}\n      client_secret: \${AXE_SECRET}`);

  test('a secret comes from the environment and does not print itself', () => {
    const { entra } = customersIn(withSecret, { AXE_SECRET: 'hush' }).byId('axe') ?? {};
    expect(entra?.clientSecret?.reveal()).toBe('hush');
    expect(JSON.stringify(entra)).not.toContain('hush');
  });

  test('any value may have them, and what they bring is not read as YAML or expanded again', () => {
    const text = changed('name: Nordwind GmbH\n    origin', `name: "\${FIRST} \${SECOND}"\n    origin`);
    const env = { FIRST: `\${SECOND}`, SECOND: '[a, b]' };
    expect(customersIn(text, env).byId('nordwind')?.name).toBe(`\${SECOND} [a, b]`);
  });

  test.each([
    [`\${AXE_SECRET}`, {}, 'the environment variable `AXE_SECRET` is not set'],
    [`\${AXE_SECRET}`, { AXE_SECRET: '' }, 'the environment variable `AXE_SECRET` is empty'],
    [`\${A}\${B}`, { A: 'x' }, 'the environment variable `B` is not set'],
    [`\${A}\${B}`, {}, 'the environment variable `A` is not set; the environment variable `B` is not set'],
    [`\${AXE-SECRET}`, { 'AXE-SECRET': 'x' }, 'between the braces'],
    [`\${AXE_SECRET`, { AXE_SECRET: 'x' }, 'between the braces'],
    [`\${}`, {}, 'between the braces'],
  ])('%s with %o', (value, env, sentence) => {
    const text = changed(`\${AXE_SECRET}`, `"${value}"`, withSecret);
    expect(mistakesIn(text, env)).toEqual([expect.stringContaining(`11:22 ${sentence}`)]);
  });

  test('inside braces they need quotes, and the mistake says so', () => {
    expect(mistakesIn(changed('name: AXE Studio', `name: \${STUDIO}`))).toEqual([
      '14:24 this is not valid YAML: a variable between braces or brackets needs quotes',
    ]);
  });

  test.each([
    ['a domain', '[nordwind.example]', '[HERE]', 'Zebra'],
    ['a domain of another', '[nordwind.example]', '[HERE]', 'Axe.Example'],
    ['a tenant', '122fb574-0000-4000-8000-0000000000bb', 'HERE', 'zebra'],
    ['a tenant of another', '122fb574-0000-4000-8000-0000000000bb', 'HERE', '122fb574-0000-4000-8000-000000000001'],
    ['an origin', 'https://nordwind.example', 'HERE', 'https://Zebra.example/path'],
    ['an origin of another', 'https://nordwind.example', 'HERE', 'https://axe.example'],
    ['an environment', '[prod, dev]', '[prod, HERE]', 'prd'],
    ['a sign-in', 'direct\n    entities:\n      axe', 'HERE\n    entities:\n      axe', 'zebra'],
    ['a role', 'role: admin', 'role: HERE', 'zebra'],
    ['an entity', 'dev, entities: [axe]', 'dev, entities: [HERE]', 'zebra'],
    ['somebody', '"*@nordwind.example"', 'HERE', 'zebra'],
    ['somebody who can never come', '"*@nordwind.example"', 'HERE', '*@zebra.example'],
    ['a service', '127.0.0.1:8780', 'HERE', 'zebra'],
    ['a service on the port of another', '127.0.0.1:8780', 'HERE', '10.9.8.7:8443'],
    ['a name', 'name: AXE Studio', 'name: HERE', 'zebra'.repeat(100)],
  ])('a mistake about %s does not show what the variable held', (_, passage, replacement, value) => {
    const mistakes = mistakesIn(changed(passage, replacement.replace('HERE', `"\${V}"`)), { V: value });
    expect(mistakes).not.toEqual([]);
    expect(mistakes.join('\n').toLowerCase()).not.toContain(value.toLowerCase());
  });
});

describe('the files that ship', () => {
  test('customers.yaml works as it stands and names its schema', async () => {
    const file = join(root, 'customers.yaml');
    const { all } = await readCustomers(file, { roles: ROLES, env: {} });
    expect(all.length).toBeGreaterThan(1);
    expect(readFileSync(file, 'utf8')).toMatch(/^# yaml-language-server: \$schema=config\/customers\.schema\.json\n/);
  });

  test('the schema for editors is the schema that checks; `node scripts/write-schema.ts` writes it', () => {
    const shipped = readFileSync(join(root, 'config/customers.schema.json'), 'utf8');
    expect(shipped).toBe(`${JSON.stringify(customersJsonSchema(), null, 2)}\n`);
  });
});

describe('whom a process serves', () => {
  const customers = customersIn(TWO_CUSTOMERS);

  test('everybody, or the one it is pinned to', () => {
    expect(servedCustomers(customers, undefined)).toBe(customers.all);
    expect(servedCustomers(customers, 'axe').map(({ id }) => id)).toEqual(['axe']);
  });

  test('a pin to nobody is wrong configuration', () => {
    expect(() => servedCustomers(customers, 'nordwnd')).toThrow(WrongConfiguration);
    expect(() => servedCustomers(customers, 'nordwnd')).toThrow('did you mean `nordwind`?');
  });
});
