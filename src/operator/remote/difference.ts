/** One difference between the two. */
export interface Drift {
  about: 'machine' | 'proxy' | 'release' | 'slot' | 'customers' | 'env' | 'history' | 'lock';
  sentence: string;
  /** The commands that end it, where some do. */
  mend: readonly string[];
  /** A note is worth knowing, and in order: somebody works there now, an older release waits for a rollback. */
  kind: 'drift' | 'note';
}

export function drift(about: Drift['about'], sentence: string, ...mend: string[]): Drift {
  return { kind: 'drift', about, sentence, mend };
}

export function note(about: Drift['about'], sentence: string, ...mend: string[]): Drift {
  return { kind: 'note', about, sentence, mend };
}
