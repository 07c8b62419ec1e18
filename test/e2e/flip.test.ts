import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { flip } from '../../src/operator/agent/slots.ts';
import { answeredByOthers, flipBackAndForth } from '../caddy/back-and-forth.ts';
import { makeSlots, type Slots } from '../caddy/slots.ts';
import { findCaddies, startCaddy } from '../support/caddy.ts';
import { failuresOf, type Kind, startLoad } from '../support/flip-load.ts';
import { type FrameHome, freePorts, makeFrameHome } from '../support/frame-process.ts';
import { AXE, createCompanies, customersYaml, PEOPLE } from './companies.ts';
import { change, modern, post, problemOf, type Row, type Seat, selectAll } from './wire.ts';

/** Two real gateways on one database behind the real Caddy, and people who work while it flips between them. */
const PLACE = { entity: 'axe', environment: 'prod' };
/** As many calls at once as a gateway takes however late its event loop is (http/overload.ts). */
const NEVER_TOO_MANY = 4;
const entra = createCompanies();
let home: FrameHome;
let slots: Slots;
let seat: Seat;

beforeAll(async () => {
  const authority = await entra.listen('127.0.0.1', 0);
  const first = await freePorts();
  slots = await makeSlots({ blue: first, green: first + 1, proxy: first + 2 });
  home = await makeFrameHome(customersYaml(authority));
  // On a busy machine, calls wait rather than be refused.
  await home.writeFile('config/gateway.yaml', 'pools: { acquire_timeout_ms: 20000 }\n');
  for (const slot of ['blue', 'green'] as const) {
    await home.serve({ env: { FRAME_SLOT: slot, FRAME_LISTEN: `127.0.0.1:${slots.ports[slot]}` } });
  }
  seat = { port: first, host: AXE.host, token: await entra.mint(PEOPLE.admin.username) };
  await change(seat, [{ create_table: { name: 'marks', columns: [{ name: 'mark', type: 'text' }] } }], PLACE);
});

afterAll(async () => {
  await home?.remove();
  await slots?.[Symbol.asyncDispose]();
  await entra.close();
});

beforeEach(() => flip(slots.layout, 'blue'));

/** `parts`: how many pieces the body is written in. */
function call(name: string, share: number, parts: number, tool: string, next: () => { id?: string; args: Row }): Kind {
  return {
    name,
    share,
    next() {
      const { id, args } = next();
      const [text, headers] = modern('tools/call', { name: tool, arguments: { ...PLACE, ...args } });
      const body = Buffer.from(text);
      const cut = Math.ceil(body.length / parts);
      return {
        id,
        method: 'POST',
        path: '/frame/mcp',
        headers: {
          host: seat.host,
          authorization: `Bearer ${seat.token}`,
          'content-type': 'application/json',
          ...headers,
        },
        body: Array.from({ length: parts }, (_, i) => body.subarray(i * cut, (i + 1) * cut)),
        complain: ({ body: answer }) => complaintAbout(`${answer}`),
      };
    },
  };
}

function complaintAbout(answer: string): string | undefined {
  const { result } = JSON.parse(answer);
  return result?.structuredContent && !result.isError ? undefined : answer.slice(0, 300);
}

function newMark(): { id: string; args: Row } {
  const id = randomUUID();
  // Enough to make the answers to those who read it long.
  return { id, args: { table: 'marks', rows: [{ mark: `${id} ${randomBytes(200).toString('hex')}` }] } };
}

const WORK: readonly Kind[] = [
  // Not /frame/ready, which is 503 when its own look at the database takes 2 s: that is no request that a flip lost.
  { name: 'live', share: 20, next: () => ({ method: 'GET', path: '/frame/live', complain: () => undefined }) },
  call('select', 40, 1, 'select_rows', () => ({ args: { table: 'marks', limit: 50 } })),
  call('insert', 20, 1, 'insert_rows', newMark),
  call('chunked insert', 20, 2, 'insert_rows', newMark),
];

for (const { title, file } of await findCaddies()) {
  describe.skipIf(file === undefined)(`two gateways, ${title}`, { timeout: 90_000 }, () => {
    test('1, 3, 12. thirty flips: no call fails, none runs on the old slot afterwards, no row is written twice', async () => {
      await using caddy = await startCaddy({ file: file ?? '', home: slots.layout.home, ports: slots.ports });
      const load = startLoad({ origin: caddy.origin, kinds: WORK, connections: NEVER_TOO_MANY });
      const flips = await flipBackAndForth(load, slots.layout, 30, 20);
      await load.stop();

      expect(failuresOf(load.asked)).toEqual({});
      expect(new Set(load.asked.map(({ kind }) => kind)).size).toBe(WORK.length);
      expect(answeredByOthers(load, flips)).toEqual([]);

      const rows = await selectAll(seat, { ...PLACE, table: 'marks', columns: ['mark'] });
      const written = rows.map(({ mark }) => String(mark).split(' ')[0]);
      const inserted = load.asked.flatMap(({ id }) => id ?? []);
      expect(written.filter(id => inserted.includes(id ?? '')).sort()).toEqual(inserted.sort());
    });

    test('what is too long is refused by the gateway, in its own words', async () => {
      await using _caddy = await startCaddy({ file: file ?? '', home: slots.layout.home, ports: slots.ports });
      const reply = await post({ ...seat, port: slots.ports.proxy }, Buffer.alloc(1_500_000, ' '));
      expect(problemOf(reply)).toMatchObject({ status: 413, code: 'args/too-large' });
      expect(reply.headers['x-frame-slot']).toBe('blue');
    });
  });
}
