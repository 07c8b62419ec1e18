import { randomUUIDv7 } from 'node:crypto';
import { type Caller, isKeyAlone, type Person } from '../access/caller.ts';
import type { AuditEntry } from '../audit/audit.ts';
import type { Environment } from '../customers/customer.ts';
import type { Place } from '../database/place.ts';
import { didYouMean } from '../did-you-mean.ts';
import { type ErrorCode, FrameError, toFrameError, unavailable } from '../errors.ts';
import type { Observe } from '../observe.ts';
import { withDeadline } from './deadline.ts';
import type { Door, Outcome, RequestFacts, ToolListing } from './door.ts';
import { listingFor, prepareListing } from './listing.ts';
import { placeProperties, takePlace } from './place-arguments.ts';
import { readInput, requireObject } from './read-arguments.ts';
import { type Answer, type Means, mayUse, type Tool } from './tool.ts';

/**
 * The one door. Permission, input checking, tenancy, audit and the shape of errors happen here and nowhere else; every
 * face comes through. It does not authenticate: a Caller is proof of that.
 */
export interface DoorParts {
  catalogue: readonly Tool[];
  means: Means;
  findPlace(customer: string, entity: string, environment: Environment): Place | undefined;
  /** Counts one call of a tool that has a limit of its own; rejects with `limit/requests` when it was one too many. */
  takeRate(caller: Caller, tool: string): Promise<void>;
  /** A call ends within this time, whatever it waits for. */
  callSeconds: number;
  observe: Observe;
}

export function createDoor(parts: DoorParts): Door {
  const { catalogue, means, callSeconds, observe } = parts;
  const byName = new Map(catalogue.map(tool => [tool.name, tool]));
  const bases = new Map(catalogue.map(tool => [tool.name, prepareListing(tool)]));
  const profiles = new Map<string, readonly ToolListing[]>();
  const all = catalogue.flatMap(tool => listed(undefined, tool));

  const mayCall = (caller: Caller, name: string) => mayUse(caller, { name, right: byName.get(name)?.right });

  function list(caller: Caller): readonly ToolListing[] {
    const profile = profileOf(caller);
    const known = profiles.get(profile);
    if (known) return known;
    const listings = catalogue.filter(({ name }) => mayCall(caller, name)).flatMap(tool => listed(caller, tool));
    if (profiles.size >= MAX_PROFILES) profiles.clear();
    profiles.set(profile, listings);
    return listings;
  }

  async function call(caller: Caller, name: string, args: unknown, request: RequestFacts): Promise<Outcome> {
    const started = means.now();
    const prepared = await prepare(caller, name, args);
    const writes = 'tool' in prepared && prepared.tool.kind !== 'read';
    const callId = writes ? randomUUIDv7() : undefined;
    const entry = { ...startRecord(caller, name, request, started), callId, ...prepared.known };
    try {
      if (writes) await means.audit.append({ ...entry, phase: 'intent' });
    } catch (thrown) {
      return failed(thrown);
    }
    const done = 'error' in prepared ? prepared : await run(prepared, caller, request);
    try {
      const now = means.now();
      await record({
        ...entry,
        ...factsOf(done, entry.arguments),
        phase: writes ? 'outcome' : 'call',
        at: now,
        milliseconds: now - started,
      });
    } catch (thrown) {
      // Nothing leaves that was not recorded, but what became of a change is told all the same.
      return failed(writes ? ('error' in done ? done.error : doneButUnrecorded(thrown)) : thrown);
    }
    if ('error' in done) return failed(withinReach(caller, done.error));
    return { ok: true, result: done.result, untrusted: 'tool' in prepared && prepared.tool.untrusted };
  }

  async function turnedAway(customer: string, person: Person, code: ErrorCode, requestId: string): Promise<void> {
    await record({
      at: means.now(),
      requestId,
      customer,
      actor: person,
      tool: '-',
      phase: 'call',
      outcome: 'refused',
      code,
    });
  }

  return { list, all, call, turnedAway };

  // Private

  function listed(caller: Caller | undefined, tool: Tool): ToolListing[] {
    const base = bases.get(tool.name);
    return base ? [listingFor(caller, tool, base)] : [];
  }

  async function prepare(caller: Caller, name: string, args: unknown): Promise<Prepared | Refused> {
    const known: Partial<AuditEntry> = {};
    try {
      const tool = byName.get(name);
      if (!tool || !mayCall(caller, name)) throw unknownTool(name, list(caller));
      await parts.takeRate(caller, name);
      const given = requireObject(args === undefined ? {} : args);
      known.arguments = { keys: Object.keys(given).slice(0, 20) };
      if (!tool.atPlace) {
        const input = readInput(tool, given, []);
        return { tool, input, place: undefined, known: { arguments: await tool.summarize(input, means) } };
      }
      const [{ entity, environment }, rest] = takePlace(caller, given);
      Object.assign(known, { entity: entity.id, environment });
      const input = readInput(tool, rest, Object.keys(placeProperties(caller).properties));
      const place = parts.findPlace(caller.customer.id, entity.id, environment);
      if (!place) throw unavailable(`\`${entity.id}\` (${environment}) is not set up yet.`, { retryAfterSeconds: 30 });
      return { tool, input, place, known: { ...known, arguments: await tool.summarize(input, means) } };
    } catch (thrown) {
      return { error: toFrameError(thrown), known };
    }
  }

  /** A way out by a tool that this caller does not have is none. */
  function withinReach(caller: Caller, error: FrameError): FrameError {
    const { code, message, hint, nextTool } = error;
    if (nextTool === undefined || mayCall(caller, nextTool)) return error;
    const instead = mayCall(caller, 'get_context') ? 'get_context' : undefined;
    const whom = instead ? ': `get_context` says who can change that' : '';
    return new FrameError(code, message, {
      ...error,
      hint: [hint, `You do not have \`${nextTool}\`${whom}.`].filter(Boolean).join(' '),
      nextTool: instead,
      cause: error.cause,
    });
  }

  async function run(
    { tool, input, place }: Prepared,
    caller: Caller,
    request: RequestFacts,
  ): Promise<Answer | Failed> {
    const work = (signal: AbortSignal) =>
      tool.run({ caller, signal, means, requestId: request.requestId, place: place ?? NOWHERE }, input);
    try {
      return await withDeadline(request.signal, callSeconds * 1000, work, () => tooLate(tool));
    } catch (thrown) {
      return { error: toFrameError(thrown) };
    }
  }

  async function record({ detail, ...entry }: AuditEntry & { detail?: string | undefined }): Promise<void> {
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
/** What a tool finds that asks for a place without being `atPlace`: names that no schema has. */
const NOWHERE: Place = { customer: '', entity: '', environment: 'prod', database: '', schema: '', roleId: '' };
const MAX_RECORDED_NAME = 80;

interface Prepared {
  tool: Tool;
  input: unknown;
  place: Place | undefined;
  known: Partial<AuditEntry>;
}

interface Failed {
  error: FrameError;
}

interface Refused extends Failed {
  /** What is known of the call by then, for its record. */
  known: Partial<AuditEntry>;
}

function startRecord(caller: Caller, tool: string, request: RequestFacts, at: number): AuditEntry {
  return {
    at,
    requestId: request.requestId,
    customer: caller.customer.id,
    ...actorsOf(caller),
    client: caller.client ?? request.client,
    tool: tool.slice(0, MAX_RECORDED_NAME),
    phase: 'call',
  };
}

/** Callers with the same tools and the same choice of places see the same list. */
function profileOf(caller: Caller): string {
  const places = caller.entities.map(({ id, environments }) => `${id}:${environments.join(',')}`);
  // Each in its own place: a role names its rights among its tools, also where another credential takes them away.
  const [tools, rights] = [caller.tools, caller.rights ?? []].map(names => [...names].sort().join(','));
  return `${tools} ${rights} ${places.join(' ')}`;
}

function tooLate({ kind }: Tool): FrameError {
  if (kind === 'read') {
    return new FrameError('limit/time', 'The call took too long.', { retryable: true, hint: 'Ask for less at once.' });
  }
  return new FrameError('outcome-unknown', 'The call took too long; the change may have been made or not.', {
    hint: 'Look at the data, or repeat it with the same idempotency_key.',
  });
}

function actorsOf(caller: Caller): Pick<AuditEntry, 'actor' | 'agent'> {
  const { person, key } = caller;
  const agent = key && { key: key.id, name: key.name };
  return agent && isKeyAlone(caller) ? { actor: agent } : { actor: person, agent };
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

/** What the audit keeps of how it ended, and what only our log keeps. */
function factsOf(done: Answer | Failed, asked: AuditEntry['arguments']): Partial<AuditEntry> & { detail?: string } {
  if (!('error' in done)) return { outcome: 'ok', rows: done.rows, arguments: { ...asked, ...done.done } };
  const { code, detail } = done.error;
  return { outcome: outcomeOf(code), code, detail };
}

/** Refused: the caller asked for what may not or cannot be. Unknown: nobody can say whether it happened. */
function outcomeOf(code: ErrorCode): 'refused' | 'error' | 'unknown' {
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
