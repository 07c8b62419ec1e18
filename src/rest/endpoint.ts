import { z } from 'zod';
import type { Caller } from '../access/caller.ts';
import { FrameError } from '../errors.ts';
import { toClientName } from '../tools/client-name.ts';
import type { Door, JsonObject, ToolListing } from '../tools/door.ts';

/**
 * The tools for scripts: one JSON object in, one out, no protocol around it. It knows nothing of HTTP but what a script
 * may say of itself; an error is thrown, and http/envelope.ts words it.
 */
export interface RestEndpoint {
  /** What this caller may call, as `GET /api/tools` shows it. */
  tools(caller: Caller): ToolsAnswer;
  /** Throws the FrameError of the door, or `args/invalid` for a body that is no call. */
  call(exchange: RestExchange): Promise<CallAnswer>;
}

export interface RestExchange {
  caller: Caller;
  requestId: string;
  /** `X-Client`, else `User-Agent`: for the audit. */
  headers: Headers;
  signal: AbortSignal;
  body: unknown;
}

export interface ToolsAnswer {
  success: true;
  role: string;
  tools: readonly ToolDescription[];
}

export interface ToolDescription extends Pick<ToolListing, 'name' | 'title' | 'description'> {
  kind: 'read' | 'write' | 'destructive';
  params: JsonObject;
  result: JsonObject;
}

export interface CallAnswer {
  success: true;
  tool: string;
  result: JsonObject;
}

export function createRestEndpoint(door: Pick<Door, 'list' | 'call'>): RestEndpoint {
  return {
    tools: caller => ({ success: true, role: caller.role, tools: door.list(caller).map(describeTool) }),
    async call({ caller, requestId, headers, signal, body }) {
      const { tool, params } = readCall(body);
      const client = toClientName(headers.get('x-client') ?? headers.get('user-agent'));
      const outcome = await door.call(caller, tool, params, { requestId, client, signal });
      if (!outcome.ok) throw outcome.error;
      return { success: true, tool, result: outcome.result };
    },
  };
}

export function describeTool({ annotations, inputSchema, outputSchema, ...listing }: ToolListing): ToolDescription {
  const { name, title, description } = listing;
  const kind = annotations.readOnlyHint ? 'read' : annotations.destructiveHint ? 'destructive' : 'write';
  return { name, title, description, kind, params: inputSchema, result: outputSchema };
}

// Private

const ToolCall = z.strictObject({ tool: z.string(), params: z.unknown().optional() });

function readCall(body: unknown): z.output<typeof ToolCall> {
  const read = ToolCall.safeParse(body);
  if (read.success) return read.data;
  throw new FrameError(
    'args/invalid',
    'The body must be an object with `tool` and, where the tool takes any, `params`.',
    {
      hint: 'Send {"tool":"get_context","params":{}}. `GET /api/tools` lists the tools and their params.',
    },
  );
}
