import type { Caller, Person } from '../access/caller.ts';
import type { ErrorCode, FrameError } from '../errors.ts';

/** The one door as the faces see it; call-tool.ts builds it. */
export interface Door {
  /** The tools this caller may call, in a fixed order; the same array object for the same profile of rights. */
  list(caller: Caller): readonly ToolListing[];
  /** Every tool there is, for documents that are about no caller. */
  readonly all: readonly ToolListing[];
  /** Never throws. An unknown tool and one that the caller may not call answer alike: `args/unknown-tool`. */
  call(caller: Caller, tool: string, args: unknown, request: RequestFacts): Promise<Outcome>;
  /** Records that a known member of a customer was turned away before a tool was named. */
  turnedAway(customer: string, person: Person, code: ErrorCode, requestId: string): Promise<void>;
}

export interface RequestFacts {
  requestId: string;
  /** Name and version of the client program, as it introduced itself. */
  client?: string;
  /** Aborted when nobody waits for the answer any more. */
  signal: AbortSignal;
}

/** `untrusted`: the result holds text that others wrote, and whoever shows it to a model marks it as that. */
export type Outcome =
  | { ok: true; result: Record<string, unknown>; untrusted?: boolean }
  | { ok: false; error: FrameError };

/** One entry of `tools/list`: compile-time text only, plus the caller's own entities as an enum. */
export interface ToolListing {
  name: string;
  title: string;
  description: string;
  inputSchema: JsonObject;
  outputSchema: JsonObject;
  annotations: {
    title: string;
    readOnlyHint: boolean;
    destructiveHint: boolean;
    idempotentHint: boolean;
    openWorldHint: boolean;
  };
}

export type JsonObject = { [key: string]: unknown };
