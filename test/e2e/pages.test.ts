import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { WORDS } from '../../src/broker/page-words.ts';
import { createStandInEntra, type StandInEntra } from '../../src/demo/entra/stand-in-entra.ts';
import type { StandInTenant } from '../../src/demo/entra/tenant.ts';
import { CHROMIUM, type Chromium, HAS_CHROMIUM, type Look, startChromium, type Tab } from '../support/chromium.ts';
import { type FrameHome, freePorts, makeFrameHome, type Serving } from '../support/frame-process.ts';
import { ask, objectOf, post, rpc } from './wire.ts';

/**
 * A person signs in with a real browser and nothing but the keyboard: two companies on one origin, and one of them on a
 * gateway of its own. Entra is another site (`localhost`, not 127.0.0.1), as it is in life: the cookies must survive that.
 */
let home: FrameHome;
let shared: Serving;
let pinned: Serving;
let program: Server;
let chromium: Chromium;
let entra: StandInEntra;

beforeAll(async () => {
  if (!HAS_CHROMIUM) return;
  const port = await freePorts();
  const authority = `http://localhost:${port}`;
  entra = createStandInEntra({ tenants: [AXE, NORDWIND], now: Date.now, authority });
  await entra.listen('127.0.0.1', port);
  program = createServer((_, response) => response.setHeader('Content-Type', 'text/html').end(DONE));
  await once(program.listen(0, '127.0.0.1'), 'listening');
  home = await makeFrameHome(customersYaml(authority));
  shared = await home.serve();
  pinned = await home.serve({ env: { FRAME_CUSTOMER: 'axe' } });
  chromium = await startChromium();
});

afterAll(async () => {
  await chromium?.close();
  await home?.remove();
  await entra?.close();
  program?.close();
  program?.closeAllConnections();
});

const LANGUAGES = [
  ['en', 'en-US,en;q=0.9'],
  ['ko', 'ko-KR,ko;q=0.9,en;q=0.8'],
] as const;
const LOOKS = LANGUAGES.flatMap(([words, language]) => [
  { words, language, width: 360, theme: 'light' as const },
  { words, language, width: 1200, theme: 'dark' as const },
]);

describe.skipIf(!HAS_CHROMIUM)(CHROMIUM, { timeout: 60_000 }, () => {
  describe.each(LOOKS)('in $words, $width wide, $theme', ({ words: name, ...look }) => {
    const words = WORDS[name];
    const pageOf = (tab: Tab, title: string) => expectPage(tab, title, { ...look, language: name });

    test('two companies on one origin: the e-mail leads to the right one, and Cancel back to the program', async () => {
      const { tab, asking } = await come(shared, look);
      await pageOf(tab, words.emailTitle);
      await expectFocus(tab, 'field email');
      await tab.type('vic@nowhere.example');
      await tab.leave(() => tab.press('Enter'));
      await pageOf(tab, words.emailTitle);
      expect(await textOf(tab)).toContain(words.emailUnknown);
      await expectFocus(tab, 'field email');
      await tab.press('Tab');
      await expectFocus(tab, 'button email');
      await tab.press('Tab');
      await expectFocus(tab, 'button cancel');
      await tab.leave(() => tab.press('Space'));
      expect(await answerOf(tab)).toEqual(cancelled(shared, asking));
      expect(tab.complaints).toEqual([]);
    });

    test('two companies on one origin: e-mail, consent, Entra, done', async () => {
      const { tab, asking } = await come(shared, look);
      await expectFocus(tab, 'field email');
      await tab.type('nora@nordwind.example');
      await tab.press('Tab');
      await tab.leave(() => tab.press('Space'));
      await pageOf(tab, words.consentTitle);
      const text = await textOf(tab);
      expect(text).toContain('Nordwind GmbH');
      expect(text).not.toContain('AXE LLC');
      for (const key of ['Tab', 'Down', 'Tab'] as const) await tab.press(key);
      await expectFocus(tab, 'button allow');
      await tab.leave(() => tab.press('Enter'));
      await expectEntra(tab, 'Nordwind GmbH');
      await tab.leave(() => tab.press('Enter'));

      const { code = '', ...rest } = await answerOf(tab);
      expect(rest).toEqual({ state: asking.state, iss: originOf(shared) });
      const { access_token: token } = await redeem(shared, asking, code);
      expect(await toolsOf(shared, token)).toContain('insert_rows');
      expect(tab.complaints).toEqual([]);
    });

    test.each([
      ['read', ['Space', 'Tab'], false],
      ['write', ['Down', 'Tab'], true],
    ] as const)('one company: the person chooses %s, and so it is', async (choice, keys, mayWrite) => {
      const { tab, asking } = await come(pinned, look);
      await pageOf(tab, words.consentTitle);
      const text = await textOf(tab);
      for (const said of [PROGRAM, 'AXE LLC', new URL(asking.redirectUri).host]) expect(text).toContain(said);
      for (const said of [words.clientUnverified, words.clientUnverifiedWhy, words.loopbackWarning]) {
        expect(text).toContain(said);
      }
      await tab.press('Tab');
      await expectFocus(tab, 'radio read');
      for (const key of keys) await tab.press(key);
      expect(await tab.read('document.querySelector(":checked").value', z.string())).toBe(choice);
      await expectFocus(tab, 'button allow');
      await tab.leave(() => tab.press('Enter'));
      await expectEntra(tab, 'AXE LLC');
      await tab.leave(() => tab.press('Enter'));

      const { code = '', ...rest } = await answerOf(tab);
      expect(rest).toEqual({ state: asking.state, iss: originOf(pinned) });
      const { access_token: token, scope } = await redeem(pinned, asking, code);
      expect(scope.split(' ').includes('frame:write')).toBe(mayWrite);
      const tools = await toolsOf(pinned, token);
      expect(tools).toContain('select_rows');
      expect(tools.includes('insert_rows')).toBe(mayWrite);
      expect(tab.complaints).toEqual([]);
    });

    test('one company: Cancel leads back to the program', async () => {
      const { tab, asking } = await come(pinned, look);
      for (let presses = 0; presses < 3; presses += 1) await tab.press('Tab');
      await expectFocus(tab, 'button cancel');
      await tab.leave(() => tab.press('Space'));
      expect(await answerOf(tab)).toEqual(cancelled(pinned, asking));
      expect(tab.complaints).toEqual([]);
    });

    test('who is not let in reads why, and goes back to the program', async () => {
      const { tab, asking } = await come(pinned, look);
      for (const key of ['Tab', 'Space', 'Tab'] as const) await tab.press(key);
      await tab.leave(() => tab.press('Enter'));
      await expectEntra(tab, 'AXE LLC');
      await tab.press('Tab');
      await tab.leave(() => tab.press('Enter'));
      await pageOf(tab, words.troubleTitle);
      expect(await textOf(tab)).toContain('stranger@axe.example');
      await expectFocus(tab, 'button ');
      await tab.leave(() => tab.press('Enter'));
      expect(await answerOf(tab)).toMatchObject({ error: 'access_denied', state: asking.state });
      expect(tab.complaints).toEqual([expect.stringContaining('a status of 403')]);
    });

    test('a program that nobody knows gets nobody, and the page says what to do', async () => {
      const { tab, asking } = await come(pinned, look);
      await tab.visit(asking.url.replace(/client_id=[^&]+/, 'client_id=nobody'));
      await pageOf(tab, words.troubleTitle);
      expect(await textOf(tab)).toContain(words.clientUnknownAdvice);
      expect(tab.complaints).toEqual([expect.stringContaining('a status of 400')]);
    });
  });
});

// Private

const PROGRAM = 'Probe <b>5</b> & Söhne 프로그램';
const DONE = '<!doctype html><link rel="icon" href="data:,"><title>Done</title>';
const CALLBACK = { platform: 'web', uri: 'http://127.0.0.1/callback/entra' } as const;

const AXE = tenantOf('a', 'AXE LLC', ['vic@axe.example', 'stranger@axe.example']);
const NORDWIND = tenantOf('b', 'Nordwind GmbH', ['nora@nordwind.example']);

function tenantOf(mark: string, name: string, usernames: readonly string[]): StandInTenant {
  const clientId = `c11e0000-0000-4000-8000-00000000000${mark}`;
  return {
    tenantId: `7e4a0000-0000-4000-8000-00000000000${mark}`,
    name,
    api: { clientId, uris: [`api://${mark}`], scopes: ['access_as_user'], tokenVersion: 2 },
    clients: [{ clientId, name: 'Frame', secret: 'of-a-test', redirects: [CALLBACK] }],
    people: usernames.map((username, at) => ({
      objectId: `0b1ec700-0000-4000-8000-0000000000${mark}${at}`,
      name: username,
      username,
    })),
  };
}

function customersYaml(authority: string): string {
  const entryOf = ({ tenantId, name, clients, people }: StandInTenant, id: string) => `
  ${id}:
    name: ${name}
    domains: [${id}.example]
    entra:
      tenant_id: ${tenantId}
      audience: [${clients[0]?.clientId}]
      scope: access_as_user
      client_id: ${clients[0]?.clientId}
      client_secret: of-a-test
      authority: ${authority}
    entities:
      ${id}: { name: ${name} }
    access:
      - { who: ${people[0]?.username}, role: editor }`;
  return `customers:${entryOf(AXE, 'axe')}${entryOf(NORDWIND, 'nordwind')}\n`;
}

/** What a program keeps while a person is away signing in. */
interface Asking {
  clientId: string;
  redirectUri: string;
  state: string;
  verifier: string;
  url: string;
}

const originOf = ({ port }: Serving) => `http://127.0.0.1:${port}`;

/** A program registers at the gateway and opens its page in a new browser window. */
async function come(gateway: Serving, look: Look): Promise<{ tab: Tab; asking: Asking }> {
  const { port } = program.address() as AddressInfo;
  const redirectUri = `http://127.0.0.1:${port}/callback`;
  const registered = await ask(gateway.port, '/register', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ client_name: PROGRAM, redirect_uris: [redirectUri] }),
  });
  const clientId = String(objectOf(registered).client_id);
  const [state, verifier] = [randomBytes(16).toString('base64url'), randomBytes(32).toString('base64url')];
  const url = `${originOf(gateway)}/authorize?${new URLSearchParams({
    response_type: 'code',
    client_id: clientId,
    redirect_uri: redirectUri,
    state,
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
    resource: `${originOf(gateway)}/frame/mcp`,
    scope: 'frame:read frame:write',
  })}`;
  const tab = await chromium.open(look);
  await tab.visit(url);
  return { tab, asking: { clientId, redirectUri, state, verifier, url } };
}

/** A page of ours: in the right language, not wider than the window, and with the headers that keep it ours. */
async function expectPage(tab: Tab, title: string, { language, width, theme }: Look): Promise<void> {
  expect(await tab.read('document.title', z.string())).toBe(`${title} · Frame`);
  expect(await tab.read('document.documentElement.lang', z.string())).toBe(language);
  await expectNoScrolling(tab);
  expect(tab.pages.at(-1)?.headers).toMatchObject({
    'content-security-policy': expect.stringMatching(
      /^default-src 'none'; style-src 'sha256-[\w+/]+='; base-uri 'none'; frame-ancestors 'none'$/,
    ),
    'x-frame-options': 'DENY',
    'referrer-policy': 'no-referrer',
    'cache-control': 'no-store',
    'content-language': language,
  });
  const { FRAME_PICTURES: folder } = process.env;
  const name = `${title}-${language}-${width}-${theme}-${tab.pages.length}.png`.replaceAll(/[ ?]/g, '-');
  if (folder) await tab.picture(join(folder, name));
}

async function expectEntra(tab: Tab, company: string): Promise<void> {
  expect(await tab.read('location.hostname', z.string())).toBe('localhost');
  expect(await textOf(tab)).toContain(company);
  await expect.poll(() => focusOf(tab)).toMatchObject({ isSeen: true });
}

async function expectNoScrolling(tab: Tab): Promise<void> {
  const { content, room } = await tab.read(
    '({ content: document.documentElement.scrollWidth, room: innerWidth })',
    z.object({ content: z.number(), room: z.number() }),
  );
  expect(content).toBeLessThanOrEqual(room);
}

/** `name`: what it is and its value, or the id of a field. Browsers focus by themselves a moment after the page is there. */
async function expectFocus(tab: Tab, name: string): Promise<void> {
  await expect.poll(() => focusOf(tab)).toEqual({ name, isSeen: true });
}

function focusOf(tab: Tab) {
  return tab.read(
    `(element => {
      const { outlineStyle, outlineWidth } = getComputedStyle(element.type === 'radio' ? element.closest('label') : element);
      const isSeen = element.matches(':focus-visible') && outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2;
      const name = element.id ? 'field ' + element.id : element.localName.replace('input', 'radio') + ' ' + element.value;
      return { name, isSeen };
    })(document.activeElement)`,
    z.object({ name: z.string(), isSeen: z.boolean() }),
  );
}

function textOf(tab: Tab): Promise<string> {
  return tab.read('document.body.innerText', z.string());
}

/** What came back to the program. */
async function answerOf(tab: Tab): Promise<Record<string, string>> {
  expect(await tab.read('document.title', z.string())).toBe('Done');
  return Object.fromEntries(new URL(await tab.read('location.href', z.string())).searchParams);
}

function cancelled(gateway: Serving, { state }: Asking) {
  return {
    error: 'access_denied',
    error_description: 'The person cancelled.',
    state,
    iss: originOf(gateway),
  };
}

async function redeem(gateway: Serving, { clientId, redirectUri, verifier }: Asking, code: string) {
  const answer = await ask(gateway.port, '/token', {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({
      grant_type: 'authorization_code',
      code,
      client_id: clientId,
      redirect_uri: redirectUri,
      code_verifier: verifier,
    }).toString(),
  });
  return z.object({ access_token: z.string(), scope: z.string() }).parse(objectOf(answer));
}

async function toolsOf({ port }: Serving, token: string): Promise<string[]> {
  const seat = { port, host: `127.0.0.1:${port}`, token };
  const { result } = objectOf(await post(seat, rpc('tools/list')));
  return z
    .object({ tools: z.array(z.object({ name: z.string() })) })
    .parse(result)
    .tools.map(({ name }) => name);
}
