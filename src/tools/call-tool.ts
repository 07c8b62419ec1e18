import type { z } from 'zod';
import type { Caller, Person } from '../access/caller.ts';
import type { AuditEntry } from '../audit/audit.ts';
import type { Environment } from '../customers/customer.ts';
import type { Place } from '../database/place.ts';
import { didYouMean } from '../did-you-mean.ts';
import { type ErrorCode, FrameError, toFrameError, unavailable } from '../errors.ts';
import type { Observe } from '../observe.ts';
import type { Door, Outcome, RequestFacts, ToolListing } from './door.ts';
import { listingFor, prepareListing } from './listing.ts';
import { takePlace } from './place-arguments.ts';
import type { Means, Tool } from './tool.ts';

/**
 * The one door. Permission, input checking, tenancy, audit and the shape of errors happen here and nowhere else; every
 * face comes through. It does not authenticate: a Caller is proof of that.
 */
export interface DoorParts {
  catalogue: readonly Tool<never>[];
  means: Means;
  findPlace(customer: string, entity: string, environment: Environment): Place | undefined;
  /** A call ends within this time, whatever it waits for. */
  callSeconds: number;
  observe: Observe;
}

export function createDoor(parts: DoorParts): Door {
  const { catalogue, means, observe } = parts;
  const byName = new Map(catalogue.map(tool => [tool.name, tool]));
  const bases = new Map(catalogue.map(tool => [tool.name, prepareListing(tool)]));
  const profiles = new Map<string, readonly ToolListing[]>();

  const mayCall = ({ tools }: Caller, name: string) => tools.has('*') || tools.has(name);

  function list(caller: Caller): readonly ToolListing[] {
    const profile = profileOf(caller);
    const known = profiles.get(profile);
    if (known) return known;
    const listings = catalogue
      .filter(({ name }) => mayCall(caller, name))
      .flatMap(tool => {
        const base = bases.get(tool.name);
        return base ? [listingFor(caller, tool, base)] : [];
      });
    if (profiles.size >= MAX_PROFILES) profiles.clear();
    profiles.set(profile, listings);
    return listings;
  }

  async function call(caller: Caller, name: string, args: unknown, request: RequestFacts): Promise<Outcome> {
    const started = means.now();
    const record = startRecord(caller, name, request, started);
    const finish = (changes: Partial<AuditEntry>, detail?: string) =>
      close({ ...record, ...changes, at: means.now(), milliseconds: means.now() - started }, detail);

    const prepared = prepare(caller, name, args);
    if ('error' in prepared) {
      return finish({ ...prepared.known, outcome: 'refused', code: prepared.error.code }, prepared.error.detail).then(
        () => ({ ok: false, error: prepared.error }),
        failed,
      );
    }
    const { tool, input, place } = prepared;
    Object.assign(record, prepared.known);
    const writes = tool.kind !== 'read';
    try {
      if (writes) await means.audit.append({ ...record, phase: 'intent' });
    } catch (thrown) {
      return failed(thrown);
    }
    if (writes) record.phase = 'outcome';
    const done = await run(tool, caller, place, input, request);
    if (!done.ok) {
      const outcome = outcomeOf(done.error);
      return finish({ outcome, code: done.error.code }, done.error.detail).then(
        () => done,
        () => done,
      );
    }
    // Nothing leaves that was not recorded: a read is withheld, and a write that happened is not called a failure.
    return finish({ outcome: 'ok', rows: done.rows }).then(
      () => ({ ok: true, result: done.result }),
      thrown => (writes ? { ok: false, error: doneButUnrecorded(thrown) } : failed(thrown)),
    );
  }

  async function turnedAway(customer: string, person: Person, code: ErrorCode, request: RequestFacts): Promise<void> {
    await close({
      at: means.now(),
      requestId: request.requestId,
      customer,
      actor: person,
      client: request.client,
      tool: '-',
      phase: 'call',
      outcome: 'refused',
      code,
    });
  }

  return { list, call, turnedAway };

  // Private

  function prepare(caller: Caller, name: string, args: unknown): Prepared | Refused {
    const known: Partial<AuditEntry> = {};
    try {
      const tool = byName.get(name);
      if (!tool || !mayCall(caller, name)) throw unknownTool(name, list(caller));
      const given = requireObject(args ?? {});
      known.arguments = { keys: Object.keys(given).slice(0, 20) };
      if (!tool.atPlace) {
        const input = parseInput(tool, given);
        return { tool, input, place: undefined, known: { arguments: tool.summarize(input) } };
      }
      const [{ entity, environment }, rest] = takePlace(caller, given);
      Object.assign(known, { entity: entity.id, environment });
      const input = parseInput(tool, rest);
      const place = parts.findPlace(caller.customer.id, entity.id, environment);
      if (!place) throw unavailable(`\`${entity.id}\` (${environment}) is not set up yet.`, { retryAfterSeconds: 30 });
      return { tool, input, place, known: { ...known, arguments: tool.summarize(input) } };
    } catch (thrown) {
      return { error: toFrameError(thrown), known };
    }
  }

  async function run(
    tool: Tool<never>,
    caller: Caller,
    place: Place | undefined,
    input: never,
    request: RequestFacts,
  ): Promise<
    { ok: true; result: Record<string, unknown>; rows: number | undefined } | { ok: false; error: FrameError }
  > {
    const signal = AbortSignal.any([request.signal, AbortSignal.timeout(parts.callSeconds * 1000)]);
    const context = {
      caller,
      signal,
      means,
      requestId: request.requestId,
      get place(): Place {
        if (!place) throw new Error(`${tool.name} works on no place`);
        return place;
      },
    };
    try {
      const { result, rows } = await tool.run(context, input);
      return { ok: true, result, rows };
    } catch (thrown) {
      return { ok: false, error: toFrameError(thrown) };
    }
  }

  async function close(entry: AuditEntry, detail?: string): Promise<void> {
    observe({
      kind: 'tool-called',
      requestId: entry.requestId,
      customer: entry.customer,
      entity: entry.entity,
      tool: byName.has(entry.tool) ? entry.tool : '-',
      outcome: entry.outcome ?? 'unknown',
      code: entry.code,
      milliseconds: entry.milliseconds ?? 0,
      detail,
    });
    await means.audit.append(entry);
  }
}

// Private

const MAX_PROFILES = 1000;
const MAX_RECORDED_NAME = 80;

interface Prepared {
  tool: Tool<never>;
  input: never;
  place: Place | undefined;
  known: Partial<AuditEntry>;
}

interface Refused {
  error: FrameError;
  /** What is known of the call by then, for its record. */
  known: Partial<AuditEntry>;
}

function startRecord(caller: Caller, tool: string, request: RequestFacts, at: number): AuditEntry {
  return {
    at,
    requestId: request.requestId,
    customer: caller.customer.id,
    actor: caller.person,
    client: request.client,
    tool: tool.slice(0, MAX_RECORDED_NAME),
    phase: 'call',
  };
}

/** Callers with the same tools and the same choice of places see the same list. */
function profileOf(caller: Caller): string {
  const places = caller.entities.map(({ id, environments }) => `${id}:${environments.join(',')}`);
  return `${[...caller.tools].sort().join(',')} ${places.join(' ')}`;
}

function requireObject(args: unknown): Record<string, unknown> {
  if (typeof args === 'object' && args !== null && !Array.isArray(args)) return args as Record<string, unknown>;
  throw new FrameError('args/invalid', 'The arguments must be an object.');
}

function parseInput(tool: Tool<never>, args: Record<string, unknown>): never {
  const parsed = tool.input.safeParse(args);
  if (parsed.success) return parsed.data;
  const known = Object.keys((tool.input as { shape?: object }).shape ?? {});
  const [first] = parsed.error.issues;
  throw new FrameError('args/invalid', parsed.error.issues.slice(0, 5).map(toSentence).join(' '), {
    hint: first && hintFor(first, known),
  });
}

function toSentence(issue: z.core.$ZodIssue): string {
  const where = issue.path.map((part, i) => (typeof part === 'number' ? `[${part}]` : i ? `.${String(part)}` : part));
  if (issue.code === 'unrecognized_keys') {
    return `There is no argument ${issue.keys.map(key => `\`${[...where, key].join('.')}\``).join(', ')}.`;
  }
  return `\`${where.map(String).join('') || 'arguments'}\`: ${issue.message}.`;
}

function hintFor(issue: z.core.$ZodIssue, known: string[]): string | undefined {
  if (issue.code !== 'unrecognized_keys' || issue.path.length > 0) return undefined;
  const guess = didYouMean(issue.keys[0] ?? '', known);
  return guess ? `Did you mean \`${guess}\`?` : `Arguments are: ${known.join(', ') || 'none'}.`;
}

function unknownTool(name: string, mine: readonly ToolListing[]): FrameError {
  const guess = didYouMean(
    name,
    mine.map(listing => listing.name),
  );
  return new FrameError('args/unknown-tool', `Unknown tool: ${name.slice(0, MAX_RECORDED_NAME)}`, {
    hint: guess ? `Did you mean \`${guess}\`?` : '`get_context` says what you may call and who can change that.',
  });
}

/** Refused: the caller asked for what may not or cannot be. Unknown: nobody can say whether it happened. */
function outcomeOf({ code }: FrameError): 'refused' | 'error' | 'unknown' {
  if (code === 'outcome-unknown') return 'unknown';
  return code === 'internal' || code === 'unavailable' ? 'error' : 'refused';
}

function doneButUnrecorded(thrown: unknown): FrameError {
  return new FrameError('outcome-unknown', 'The change was made, but its record could not be completed.', {
    hint: 'Look at the data before you repeat it, or repeat it with the same idempotency_key.',
    detail: toFrameError(thrown).detail,
    cause: thrown,
  });
}

function failed(thrown: unknown): Outcome {
  return { ok: false, error: toFrameError(thrown) };
}
