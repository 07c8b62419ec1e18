import { readFileSync } from 'node:fs';

/**
 * Preloaded into a process under test (`NODE_OPTIONS=--import`): at SIGUSR2 it does what the file in PLANTED_FAULT says,
 * a deed and a number, and reports that on stderr.
 */
const DEEDS: Record<string, (amount: number) => void> = {
  /** An exception that nobody catches. */
  throw() {
    setImmediate(() => {
      throw new Error('planted');
    });
  },
  /** A promise that nobody waits for. */
  reject() {
    void Promise.reject(new Error('planted'));
  },
  /** Takes memory until there is none. */
  hoard() {
    const hoard: string[][] = [];
    setInterval(() => hoard.push(Array.from({ length: 1_000_000 }, (_, i) => `${i}`)));
  },
  /** For so many milliseconds hardly anything gets its turn. */
  stall(milliseconds) {
    const end = performance.now() + milliseconds;
    const timer = setInterval(() => {
      const turn = performance.now() + 400;
      while (performance.now() < turn);
      if (performance.now() > end) clearInterval(timer);
    }, 1);
  },
  /** From now on the clock on the wall is wrong by so many milliseconds. */
  clock(milliseconds) {
    offsetMs = milliseconds;
  },
};

let offsetMs = 0;
const rightNow = Date.now;
Date.now = () => rightNow() + offsetMs;
globalThis.Date = new Proxy(Date, {
  construct: (RightDate, given) => Reflect.construct(RightDate, given.length > 0 ? given : [Date.now()]),
});

process.on('SIGUSR2', () => {
  const [deed = '', amount = '0'] = readFileSync(String(process.env.PLANTED_FAULT), 'utf8').split(' ');
  DEEDS[deed]?.(Number(amount));
  process.stderr.write(`planted ${deed}\n`);
});
