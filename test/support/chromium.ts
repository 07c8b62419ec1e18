import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { Readable, Writable } from 'node:stream';
import { z } from 'zod';
import { makeDataFolder, removeDataFolder } from './data-folder.ts';

/** A real browser without a window, and a person at its keyboard. It speaks the Chrome DevTools Protocol. */
export interface Chromium {
  /** A tab with cookies of its own, as a new private window has them. */
  open(look: Look): Promise<Tab>;
  close(): Promise<void>;
}

export interface Look {
  /** Accept-Language. */
  language: string;
  width: number;
  theme?: 'light' | 'dark';
}

export interface Tab {
  /** Types an address; resolves when the page, or what it leads to, has loaded. */
  visit(url: string): Promise<void>;
  press(key: Key): Promise<void>;
  type(text: string): Promise<void>;
  /** Does something that leads to another page, and waits until that has loaded. */
  leave(deed: () => Promise<void>): Promise<void>;
  /** What an expression comes to on the page. */
  read<T>(expression: string, schema: z.ZodType<T>): Promise<T>;
  /** What the console, the network and the security policy complained about, so far. */
  complaints: readonly string[];
  /** The pages that were shown, in order. */
  pages: readonly ShownPage[];
  /** A PNG, for the eyes. */
  picture(file: string): Promise<void>;
}

export interface ShownPage {
  url: string;
  status: number;
  /** Names in lower case. */
  headers: Record<string, string>;
}

export type Key = keyof typeof KEYS;

const PROGRAM = '/usr/bin/chromium';
export const HAS_CHROMIUM = existsSync(PROGRAM);
/** For titles: says why when tests are skipped. */
export const CHROMIUM = HAS_CHROMIUM ? 'Chromium' : `Chromium (skipped: there is no ${PROGRAM})`;

export async function startChromium(): Promise<Chromium> {
  const folder = await makeDataFolder();
  // It speaks on descriptors 3 and 4, and ends by itself when whoever started it is gone.
  const child = spawn(PROGRAM, [...FLAGS, `--user-data-dir=${folder}`], {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
  });
  const ended = once(child, 'exit');
  const wire = openWire(child);
  return {
    open: look => openTab(wire, look),
    async close() {
      // It may be gone before it has answered.
      await Promise.race([wire.send('Browser.close'), ended]);
      await ended;
      await removeDataFolder(folder);
    },
  };
}

// Private

const FLAGS = [
  '--headless=new',
  '--remote-debugging-pipe',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  // Else it throws keys away that come before it has drawn the page for the first time.
  '--allow-pre-commit-input',
];

const KEYS = {
  Tab: { key: 'Tab', code: 'Tab', windowsVirtualKeyCode: 9 },
  Enter: { key: 'Enter', code: 'Enter', windowsVirtualKeyCode: 13, text: '\r' },
  Space: { key: ' ', code: 'Space', windowsVirtualKeyCode: 32, text: ' ' },
  Down: { key: 'ArrowDown', code: 'ArrowDown', windowsVirtualKeyCode: 40 },
} as const;

const Message = z.object({
  id: z.number().optional(),
  sessionId: z.string().optional(),
  method: z.string().default(''),
  params: z.unknown().optional(),
  result: z.unknown().optional(),
  error: z.object({ message: z.string() }).optional(),
});

type Listener = (method: string, params: unknown) => void;

interface Wire {
  send(method: string, params?: object, sessionId?: string): Promise<unknown>;
  listen(sessionId: string, listener: Listener): void;
}

/** Messages are JSON, each with a NUL behind it. */
function openWire({ stdio: [, , , into, from] }: ChildProcess): Wire {
  if (!(into instanceof Writable && from instanceof Readable)) throw new Error('Chromium did not start.');
  const waiting = new Map<number, PromiseWithResolvers<unknown>>();
  const listeners = new Map<string, Listener>();
  let last = 0;
  let unread = '';
  // Gone with the browser; whoever waits for an answer hears of that elsewhere.
  into.on('error', () => {});
  from.setEncoding('utf8').on('data', (text: string) => {
    const messages = (unread + text).split('\0');
    unread = messages.pop() ?? '';
    for (const message of messages) receive(message);
  });

  function receive(message: string): void {
    const { id, sessionId, method, params, result, error } = Message.parse(JSON.parse(message));
    if (id === undefined) listeners.get(sessionId ?? '')?.(method, params);
    else if (error) waiting.get(id)?.reject(new Error(error.message));
    else waiting.get(id)?.resolve(result);
    if (id !== undefined) waiting.delete(id);
  }

  return {
    send(method, params = {}, sessionId) {
      const answer = Promise.withResolvers<unknown>();
      last += 1;
      waiting.set(last, answer);
      into.write(`${JSON.stringify({ id: last, method, params, sessionId })}\0`);
      return answer.promise;
    },
    listen: (sessionId, listener) => void listeners.set(sessionId, listener),
  };
}

async function openTab(wire: Wire, { language, width, theme = 'light' }: Look): Promise<Tab> {
  const { browserContextId } = ContextAnswer.parse(await wire.send('Target.createBrowserContext'));
  const target = { url: 'about:blank', browserContextId };
  const { targetId } = TargetAnswer.parse(await wire.send('Target.createTarget', target));
  const attaching = await wire.send('Target.attachToTarget', { targetId, flatten: true });
  const { sessionId } = SessionAnswer.parse(attaching);
  const send = (method: string, params?: object) => wire.send(method, params, sessionId);

  const complaints: string[] = [];
  const pages: ShownPage[] = [];
  let loaded = Promise.withResolvers<void>();
  wire.listen(sessionId, (method, params) => {
    if (method === 'Page.loadEventFired') loaded.resolve();
    const complaint = complaintOf(method, params);
    if (complaint !== undefined) complaints.push(complaint);
    const { data } = PageResponse.safeParse(params);
    if (method === 'Network.responseReceived' && data) pages.push(data.response);
  });
  for (const domain of ['Page', 'Runtime', 'Log', 'Network', 'Audits']) await send(`${domain}.enable`);
  await send('Network.setExtraHTTPHeaders', { headers: { 'Accept-Language': language } });
  await send('Emulation.setFocusEmulationEnabled', { enabled: true });
  const metrics = { width, height: 900, deviceScaleFactor: 1, mobile: width < 600 };
  await send('Emulation.setDeviceMetricsOverride', metrics);
  await send('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: theme }] });

  async function leave(deed: () => Promise<void>): Promise<void> {
    loaded = Promise.withResolvers();
    await deed();
    await loaded.promise;
  }

  return {
    complaints,
    pages,
    leave,
    visit: url => leave(async () => void (await send('Page.navigate', { url }))),
    async press(key) {
      await send('Input.dispatchKeyEvent', { type: 'keyDown', ...KEYS[key] });
      await send('Input.dispatchKeyEvent', { type: 'keyUp', ...KEYS[key], text: undefined });
    },
    type: async text => void (await send('Input.insertText', { text })),
    async read(expression, schema) {
      const { result, exceptionDetails } = Evaluated.parse(
        await send('Runtime.evaluate', { expression, returnByValue: true }),
      );
      if (exceptionDetails) throw new Error(`${expression}: ${JSON.stringify(exceptionDetails)}`);
      return schema.parse(result.value);
    },
    async picture(file) {
      const { cssContentSize } = Metrics.parse(await send('Page.getLayoutMetrics'));
      const clip = { ...cssContentSize, scale: 1 };
      const { data } = Picture.parse(await send('Page.captureScreenshot', { clip, captureBeyondViewport: true }));
      await writeFile(file, data, 'base64');
    },
  };
}

const ContextAnswer = z.object({ browserContextId: z.string() });
const TargetAnswer = z.object({ targetId: z.string() });
const SessionAnswer = z.object({ sessionId: z.string() });
const Evaluated = z.object({
  result: z.object({ value: z.unknown().optional() }),
  exceptionDetails: z.unknown().optional(),
});
const Metrics = z.object({
  cssContentSize: z.object({ x: z.number(), y: z.number(), width: z.number(), height: z.number() }),
});
const Picture = z.object({ data: z.string() });

const PageResponse = z.object({
  type: z.literal('Document'),
  response: z.object({
    url: z.string(),
    status: z.number(),
    headers: z
      .record(z.string(), z.string())
      .transform(headers => Object.fromEntries(Object.entries(headers).map(([name, v]) => [name.toLowerCase(), v]))),
  }),
});

/** Everything that a developer would see in red or yellow. */
function complaintOf(method: string, params: unknown): string | undefined {
  const isLoud =
    ['Runtime.exceptionThrown', 'Log.entryAdded', 'Network.loadingFailed', 'Audits.issueAdded'].includes(method) ||
    (method === 'Runtime.consoleAPICalled' && Loud.safeParse(params).success);
  return isLoud ? `${method} ${JSON.stringify(params)}` : undefined;
}

const Loud = z.object({ type: z.enum(['error', 'warning', 'assert']) });
