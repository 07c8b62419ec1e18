import { hash } from 'node:crypto';

/** Choices that are the same for the same seed. */
export interface Random {
  /** A whole number from 0 up to, but without, `limit`. */
  below(limit: number): number;
  /** From `least` to `most`, but not this one. */
  otherNumber(than: number, least: number, most: number): number;
  of<T>(choices: readonly T[]): T;
}

export function createRandom(seed: string): Random {
  let drawn = 0;
  const below = (limit: number) => {
    drawn += 1;
    return Number.parseInt(hash('sha256', `${seed} ${drawn}`, 'hex').slice(0, 12), 16) % limit;
  };
  return {
    below,
    otherNumber(than, least, most) {
      const number = least + below(most - least);
      return number < than ? number : number + 1;
    },
    of<T>(choices: readonly T[]): T {
      const choice = choices[below(choices.length)];
      if (choice === undefined) throw new Error('There is nothing to choose from.');
      return choice;
    },
  };
}
