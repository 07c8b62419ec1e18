import { hash, randomBytes } from 'node:crypto';
import { appendFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { type Context, Hono } from 'hono';
import { streamSSE } from 'hono/streaming';
import { DEFAULT_GATEWAY_CONFIG } from '../../src/config/gateway-config.ts';
import { listen } from '../../src/http/listen.ts';
import type { Env } from '../../src/http/manners.ts';
import { createMarks, requestIdOf } from '../../src/http/marks.ts';
import { observeNothing } from '../../src/observe.ts';

/**
 * A slot without a database, as a process: `slot.ts NAME PORT JOURNAL`. It listens, marks its answers and drains with the
 * gateway's own code; what it answers is an echo. Every POST that it carries out is in the journal before it is answered,
 * also when the process is killed in the next moment.
 */
const [, , name = '', port = '', journal = ''] = process.argv;
const EVENT_EVERY_MS = 25;
const SLOW_MS = 400;
const marks = createMarks({ release: `release of ${name}`, slot: name });
let isDraining = false;

const app = new Hono<Env>();
app.use(async (c, next) => {
  await next();
  for (const [header, value] of Object.entries(marks(requestIdOf(null)))) c.res.headers.set(header, value);
  if (isDraining) c.res.headers.set('Connection', 'close');
});
app.get('/frame/live', c => c.json({ status: 'alive', headers: c.req.header() }));
app.get('/bytes/:count', c => answer(c, randomBytes(Number(c.req.param('count')))));
app.post('/echo', async c => answer(c, await take(c)));
app.post('/slow', async c => {
  const body = await take(c);
  await pause(SLOW_MS);
  return answer(c, body);
});
// Carries it out, and never answers.
app.post('/mute', async c => {
  await take(c);
  return await new Promise<never>(() => {});
});
// Does not wait for the question.
app.post('/eager', c => answer(c, randomBytes(100_000)));
app.get('/events', c =>
  streamSSE(c, async stream => {
    for (let id = 1; !isDraining && !stream.aborted; id += 1) {
      await stream.writeSSE({ id: `${id}`, data: name });
      await stream.sleep(EVENT_EVERY_MS);
    }
    await stream.write('retry: 1000\n\n');
  }),
);

// Whoever hangs up in mid-question gets no answer, and it is no news.
app.onError(() => new Response(null, { status: 500 }));

const beginDraining = () => {
  isDraining = true;
};
const listening = await listen({
  app: { fetch: app.fetch, beginDraining },
  marks,
  host: '127.0.0.1',
  port: Number(port),
  limits: DEFAULT_GATEWAY_CONFIG.http,
  observe: observeNothing,
});
process.once('SIGTERM', () => void listening.drain().then(() => process.exit(0)));
process.once('disconnect', () => process.exit(1));
process.send?.('listening');

async function take(c: Context<Env>): Promise<Buffer<ArrayBuffer>> {
  const body = Buffer.from(await c.req.arrayBuffer());
  appendFileSync(journal, `${c.req.header('x-question')}\n`);
  return body;
}

/** With the digest of what was received, or made up. */
function answer(c: Context<Env>, body: Buffer<ArrayBuffer>): Response {
  return c.body(body, 200, { 'X-Body-Digest': hash('sha256', body) });
}
