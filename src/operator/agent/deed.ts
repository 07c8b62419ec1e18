import type { Layout } from './layout.ts';
import type { Heard, Refusal, Verb, Verbs } from './protocol.ts';

/** What every deed gets beside its request. */
export interface Scene {
  layout: Layout;
  by: string;
  dryRun: boolean;
  tell(heard: Heard): void;
  /** Somebody asked this process to end: no new step begins unless leaving it out would leave things half done. */
  stop?: AbortSignal;
}

export type Deed<V extends Verb> = (request: Verbs[V]['request'], scene: Scene) => Promise<Verbs[V]['answer']>;

export type Deeds = { [V in Verb]: () => Promise<Deed<V>> };

/** Thrown by a deed that will not, or could not, do what it was asked; anything else that is thrown is our own fault. */
export class Refused extends Error {
  override readonly name = 'Refused';
  readonly refusal: Refusal;

  constructor(refusal: Refusal) {
    super(refusal.message);
    this.refusal = refusal;
  }
}
