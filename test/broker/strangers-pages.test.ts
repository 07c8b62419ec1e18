import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { agreeAndSignIn, answerOf, createBrowser, createProgram, type Program } from './browser.ts';
import { ADA, openWorld, type World } from './world.ts';

/** Strangers in front of our pages, over real HTTP: five guesses a minute from one network. */
let world: World;
let program: Program;

beforeAll(async () => {
  world = await openWorld(['axe'], { guessesPerMinute: 5 });
});
afterAll(() => world?.close());
beforeEach(async () => {
  world.clock.aheadMs += 60_000;
  program = await createProgram(world);
});

const BUSY = 'Frame is busy or being restarted.';
const secret = () => randomBytes(32).toString('base64url');
const clientId = () => `fc_${randomBytes(24).toString('base64url')}`;

const doors: [string, () => Promise<Response>][] = [
  ['an unknown program', () => fetch(program.url({ client_id: clientId() }), { redirect: 'manual' })],
  ['a made-up state', () => fetch(`${world.origin}/callback/entra?state=${secret()}&code=x`)],
  [
    'a made-up sign-in',
    () =>
      fetch(`${world.origin}/consent`, {
        method: 'POST',
        headers: { origin: world.origin, cookie: `frame-page=${secret()}` },
        body: new URLSearchParams({ sign_in: secret(), answer: 'allow', access: 'read' }),
      }),
  ],
];

describe.each(doors)('%s', (_, knock) => {
  test('is looked for five times a minute, and then not at all', async () => {
    for (let n = 0; n < 5; n++) expect((await knock()).status).toBe(400);
    const refused = await knock();
    expect(refused.status).toBe(429);
    expect(refused.headers.get('retry-after')).toMatch(/^([1-5]?\d|60)$/);
    expect(await refused.text()).toContain(BUSY);
    world.clock.aheadMs += 60_000;
    expect((await knock()).status).toBe(400);
  });
});

test('who is known goes all the way, whatever else comes from the same address', async () => {
  const browser = createBrowser();
  const consent = await browser.open(program.url());
  const [[, unknownProgram] = [], , [, unknownSignIn] = []] = doors;
  for (let n = 0; n < 6; n++) {
    await unknownProgram?.();
    await unknownSignIn?.();
  }
  expect((await unknownProgram?.())?.status).toBe(429);
  expect((await browser.open(program.url())).status).toBe(200);
  expect(answerOf(await browser.open(await agreeAndSignIn(browser, consent, ADA)))).toHaveProperty('code');
});

test('a program that is known costs the database nothing when it is named again', async () => {
  await fetch(program.url({ redirect_uri: 'https://evil.example/' }));
  await world.query(`delete from frame.oauth_clients where client_id = '${program.id}'`);
  const again = await fetch(program.url({ redirect_uri: 'https://evil.example/' }));
  expect(await again.text()).toContain('an address that it has not registered');
  world.clock.aheadMs += 60_000;
  expect(await (await fetch(program.url())).text()).toContain('Frame does not know the program');
});
