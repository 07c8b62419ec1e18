import type { Inspection } from '../agent/protocol.ts';
import type { Hosted } from '../remote/whom.ts';
import type { TailnetNode } from './tailnet.ts';

/** What was seen of one customer: on the machine, from here through the internet, and in the tailnet. */
export interface Examination {
  customer: Hosted;
  /** A sentence when the machine could not be asked. */
  machine: Inspection | Unasked;
  /** Undefined when customers.yaml names no origin. */
  outside: Outside | undefined;
  node: TailnetNode | undefined;
}

export interface Unasked {
  isReached: boolean;
  sentence: string;
  hint?: string;
}

export interface Outside {
  certificate?: { daysLeft: number; until: number; fault?: string } | undefined;
  /** Of `GET {origin}/frame/ready`. */
  status?: number;
  release?: string | undefined;
  /** Why that is not the answer of this customer's gateway, ready; a sentence. */
  fault?: string | undefined;
}

export function isInspection(machine: Inspection | Unasked): machine is Inspection {
  return 'slots' in machine;
}
