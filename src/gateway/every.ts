import type { Observe } from '../observe.ts';

/** Repeats work for as long as the gateway runs; one round at a time, and a failure is no more than an observation. */
export function every(milliseconds: number, name: string, work: () => Promise<unknown>, observe: Observe): () => void {
  let isBusy = false;
  const round = async () => {
    if (isBusy) return;
    isBusy = true;
    await work().catch(error => observe({ kind: 'crash-averted', where: name, error }));
    isBusy = false;
  };
  const timer = setInterval(round, milliseconds).unref();
  return () => clearInterval(timer);
}
