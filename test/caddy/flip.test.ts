import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { otherSlot } from '../../src/operator/agent/layout.ts';
import { flip, liveSlot } from '../../src/operator/agent/slots.ts';
import { type Caddy, findCaddies, startCaddy } from '../support/caddy.ts';
import { type Asked, failuresOf, type Load, type RunningLoad, startLoad } from '../support/flip-load.ts';
import { freePorts } from '../support/frame-process.ts';
import { answeredByOthers, answersOf, type Flip, flipBackAndForth } from './back-and-forth.ts';
import { ECHOES, GET, INTERRUPTED, makeSlots, type Slots } from './slots.ts';
import { listeningSockets } from './sockets.ts';

/** Flips, drains and deaths under clients who forgive nothing. The numbers are those of docs/operations.md. */
const CONNECTIONS = 16;
const STREAMS = { count: 8, path: '/events' };

for (const { title, file } of await findCaddies()) {
  describe.skipIf(file === undefined)(`under load, ${title}`, { timeout: 90_000 }, () => {
    let slots: Slots;
    let caddy: Caddy;

    beforeAll(async () => {
      const first = await freePorts();
      slots = await makeSlots({ blue: first, green: first + 1, proxy: first + 2 });
      await Promise.all([slots.start('blue'), slots.start('green')]);
      caddy = await start();
    });

    afterAll(async () => {
      await caddy?.stop();
      await slots?.[Symbol.asyncDispose]();
    });

    beforeEach(() => flip(slots.layout, 'blue'));

    const start = () => startCaddy({ file: file ?? '', home: slots.layout.home, ports: slots.ports });

    function put(load: Partial<Load> = {}): RunningLoad {
      const running = startLoad({ origin: caddy.origin, kinds: ECHOES, connections: CONNECTIONS, ...load });
      onTestFinished(() => running.stop());
      return running;
    }

    /** Every POST whose answer arrived was carried out, and none of them twice. */
    async function expectNoPostTwice({ asked }: RunningLoad): Promise<void> {
      const carriedOut = await slots.carriedOut();
      const once = new Set(carriedOut);
      expect(carriedOut.length).toBe(once.size);
      const answered = asked.filter(({ failure }) => failure === undefined).flatMap(({ id }) => id ?? []);
      expect(answered.filter(id => !once.has(id))).toEqual([]);
    }

    describe('thirty flips', () => {
      let load: RunningLoad;
      let flips: Flip[];

      beforeAll(async () => {
        await flip(slots.layout, 'blue');
        load = startLoad({ origin: caddy.origin, kinds: ECHOES, streams: STREAMS });
        await load.until(() => load.streams.filter(({ events }) => events > 0).length === STREAMS.count);
        flips = await flipBackAndForth(load, slots.layout, 30, 30);
        const events = load.streams.map(stream => stream.events);
        await load.until(() => load.streams.every((stream, i) => stream.events > (events[i] ?? 0) + 10));
      });

      afterAll(() => load.stop());

      test('1. not one request fails, of any kind, and every body is whole', async () => {
        await load.stop();
        expect(failuresOf(load.asked)).toEqual({});
        expect(new Set(load.asked.map(({ kind }) => kind))).toEqual(new Set(ECHOES.map(({ name }) => name)));
      });

      test('2. event streams go on without a gap where they began', () => {
        const shape = { slot: 'blue', gaps: 0, end: 'open', events: expect.any(Number) };
        expect(load.streams).toEqual(Array(STREAMS.count).fill(shape));
      });

      test('3. what is asked after a flip returned is answered by the new slot only', () => {
        expect(answeredByOthers(load, flips)).toEqual([]);
      });

      test.skipIf(process.platform !== 'linux')('4. Caddy is the process that it was', async () => {
        expect(await listeningSockets(caddy.pid)).toEqual([`127.0.0.1:${slots.ports.proxy}`]);
      });

      test('12. no POST is carried out twice', () => expectNoPostTwice(load));
    });

    test('1. long answers arrive whole, also when they begin before the question is over', async () => {
      const load = put({ kinds: [INTERRUPTED], connections: 4 });
      await load.until(() => load.asked.length >= 500);
      await load.stop();
      expect(failuresOf(load.asked)).toEqual({});
    });

    test('5. in the middle of a flip there is somebody, too', async () => {
      const load = put({ kinds: [GET], connections: 8 });
      for (let i = 0; i < 200; i += 1) {
        await flip(slots.layout, i % 2 === 0 ? 'green' : 'blue');
        const over = performance.now();
        // No request lives through two flips: between two deploys, none does either.
        await load.until(() => load.waiting().every(askedAt => askedAt > over));
      }
      await load.stop();
      expect(failuresOf(load.asked)).toEqual({});
    });

    test('14. slots that end after a flip finish what they do, and take leave of their streams', async () => {
      const load = put({ streams: STREAMS });
      for (const old of ['blue', 'green', 'blue'] as const) {
        await load.until(() => load.streams.filter(({ slot, end }) => slot === old && end === 'open').length >= 8);
        await load.until(() => load.waiting().some(isSlow));
        await flip(slots.layout, otherSlot(old));
        expect(await slots.end(old, 'SIGTERM')).toBe(0);
        await slots.start(old);
      }
      await load.stop();
      expect(failuresOf(load.asked)).toEqual({});
      expect(load.streams.filter(({ gaps, end }) => gaps !== 0 || end === 'cut')).toEqual([]);
      expect(load.streams.filter(({ end }) => end === 'finished').length).toBe(3 * STREAMS.count);
      await expectNoPostTwice(load);
    });

    test('11, 12. when the live slot is killed, only what it had begun is lost; the rest waits for its return', async () => {
      const load = put();
      const kills: { begun: number; over: number }[] = [];
      for (let i = 0; i < 3; i += 1) {
        const back = performance.now();
        await load.until(() => answersOf(load, 'blue', back) > 100 && load.waiting().some(isSlow));
        const begun = performance.now();
        await slots.end('blue', 'SIGKILL');
        kills.push({ begun, over: performance.now() });
        // Nobody is answered any more; those who lost an answer have asked something else.
        await load.until(() => load.waiting().filter(isHeld).length === CONNECTIONS);
        await slots.start('blue');
      }
      const back = performance.now();
      await load.until(() => answersOf(load, 'blue', back) > 100);
      await load.stop();
      const failed = load.asked.filter(({ failure }) => failure !== undefined);
      const wasBegun = ({ askedAt, endedAt }: Asked) => kills.some(kill => askedAt < kill.over && endedAt > kill.begun);
      // Caddy before 2.11.2 loses chunked bodies while it waits for a slot.
      const wasLost = ({ kind, failure }: Asked) =>
        title.includes(' 2.6.') && kind === 'chunked POST' && failure === '502';
      expect(failed.filter(asked => asked.kind === 'GET' || !(wasBegun(asked) || wasLost(asked)))).toEqual([]);
      expect(failed.length).toBeGreaterThan(0);
      await expectNoPostTwice(load);
    });

    test('13. when the idle slot is dead, nobody notices', async () => {
      const load = put();
      await load.until(() => load.asked.length > 100);
      await slots.end('green', 'SIGKILL');
      const gone = performance.now();
      await load.until(() => answersOf(load, 'blue', gone) > 100);
      await load.stop();
      await slots.start('green');
      expect(failuresOf(load.asked)).toEqual({});
    });

    test('7. after a restart of Caddy, or of everything, the same slot is live', async () => {
      await flip(slots.layout, 'green');
      const slotNow = async () => (await fetch(`${caddy.origin}/frame/live`)).headers.get('x-frame-slot');
      await caddy.stop();
      caddy = await start();
      expect(await slotNow()).toBe('green');
      await Promise.all([caddy.stop(), slots.end('blue', 'SIGKILL'), slots.end('green', 'SIGKILL')]);
      caddy = await start();
      const answering = slotNow();
      await Promise.all([slots.start('blue'), slots.start('green')]);
      expect(await answering).toBe('green');
    });
  });
}

test('5. at every instant of a thousand flips, and whenever their process is killed, exactly one slot is live', {
  timeout: 90_000,
}, async () => {
  const first = await freePorts();
  await using slots = await makeSlots({ blue: first, green: first + 1, proxy: first + 2 });
  const { layout } = slots;
  await flip(layout, 'blue');
  const seen = new Map<string, number>();
  let flips = 0;
  while (flips < 1000) {
    const flipper = fork(join(import.meta.dirname, 'flipper.ts'), [layout.home], { execArgv: [] });
    const killAt = flips + 100 + Math.random() * 150;
    flipper.on('message', () => {
      flips += 1;
      // Not at once: then it would always be killed between two flips.
      if (flips > killAt) setTimeout(() => flipper.kill('SIGKILL'), Math.random() * 3);
    });
    const gone = once(flipper, 'exit').then(() => true);
    while (!(await Promise.race([gone, turn(false)]))) {
      for (let i = 0; i < 200; i += 1) {
        const target = readlinkSync(layout.live);
        seen.set(target, (seen.get(target) ?? 0) + 1);
      }
    }
    // Whoever comes next is not in the way of what the killed one left behind.
    await flip(layout, 'blue');
    expect(await liveSlot(layout)).toBe('blue');
  }
  expect([...seen.keys()].sort()).toEqual(['../slots/blue', '../slots/green']);
});

/** Longer under way than anything but what takes its time on purpose; longer than even that. */
const isSlow = (askedAt: number) => performance.now() - askedAt > 100;
const isHeld = (askedAt: number) => performance.now() - askedAt > 600;
