import {
  type CallToolResult,
  createMcpHandler,
  isLegacyRequest,
  ProtocolError,
  ProtocolErrorCode,
  Server,
  type Tool,
  WebStandardStreamableHTTPServerTransport,
} from '@modelcontextprotocol/server';
import { z } from 'zod';
import type { Caller } from '../access/caller.ts';
import { type FrameError, toFrameError } from '../errors.ts';
import type { Observe } from '../observe.ts';
import { toClientName } from '../tools/client-name.ts';
import type { Door, Outcome, RequestFacts } from '../tools/door.ts';
import { fence } from './fence.ts';
import { INSTRUCTIONS } from './instructions.ts';
import { type PlainCall, readPlainCall, writePlainResult } from './plain-call.ts';

/**
 * MCP over HTTP without sessions, both eras on one URL: 2026-07-28 by the SDK's handler, the 2025 revisions by a leg of
 * our own that answers JSON. It does not authenticate, read bodies or limit anything (http/), nor decide anything (tools/).
 */
export interface McpEndpoint {
  /** Answers one POST. What a caller or a tool does wrong is an answer, never a throw. */
  serve(exchange: Exchange): Promise<Response>;
}

export interface Exchange {
  caller: Caller;
  requestId: string;
  /** For its headers and its signal; its body was read already. */
  request: Request;
  body: unknown;
}

export function createMcpEndpoint(parts: { door: Door; release: string; observe: Observe }): McpEndpoint {
  const { door, release, observe } = parts;
  const identity = { name: 'frame', title: 'Frame', version: release };

  async function serve(exchange: Exchange): Promise<Response> {
    const plain = readPlainCall(exchange.request.headers, exchange.body);
    return plain ? await servePlain(exchange, plain) : await serveBySdk(exchange);
  }

  async function servePlain({ caller, requestId, request }: Exchange, call: PlainCall): Promise<Response> {
    const client = toClientName(call.client ?? request.headers.get('user-agent'));
    const outcome = await callDoor(caller, call.name, call.args, { requestId, client, signal: request.signal });
    if (outcome.ok) return toJson(writePlainResult(call, JSON.stringify(shown(outcome)), false, identity));
    const { error } = outcome;
    const protocolError = protocolErrorOf(error);
    if (!protocolError) {
      return toJson(writePlainResult(call, JSON.stringify(toPublic(error, requestId)), true, identity));
    }
    const body = JSON.stringify({ jsonrpc: '2.0', id: call.id, error: protocolError });
    return error.code === 'unavailable' ? asUnavailable(body, error) : toJson(body);
  }

  async function serveBySdk(exchange: Exchange): Promise<Response> {
    const { request, body } = exchange;
    const odd = oddCall(body);
    if (odd) return await refuseOddCall(exchange, odd);
    if (Array.isArray(body) && body.length > MAX_BATCH) return tooManyMessages();
    const outages: FrameError[] = [];
    const server = createServer(exchange, outages);
    const response = (await isLegacyRequest(request, body))
      ? await serveLegacy(server, exchange)
      : await serveModern(server, exchange);
    const [outage] = outages;
    return outage && !Array.isArray(body) ? asUnavailable(await response.text(), outage) : response;
  }

  // The high-level McpServer costs three times as much: it would register every tool again for every request.
  function createServer(exchange: Exchange, outages: FrameError[]): Server {
    const { caller, requestId, request, body } = exchange;
    const server = new Server(identity, SERVER_OPTIONS);
    const inTurn = Array.isArray(body) ? oneAfterAnother() : <T>(work: () => Promise<T>) => work();
    server.setRequestHandler('tools/list', () => ({ tools: [...door.list(caller)] as Tool[] }));
    server.setRequestHandler('tools/call', async ({ params }, { mcpReq: { signal } }) => {
      const client = clientOf(server, request);
      const facts = { requestId, client, signal };
      const outcome = await inTurn(() => callDoor(caller, params.name, params.arguments, facts));
      if (outcome.ok) return toResult(shown(outcome));
      if (outcome.error.code === 'unavailable') outages.push(outcome.error);
      return refuse(outcome.error, requestId);
    });
    return server;
  }

  /** The SDK would refuse it with the words of its own schema, and nobody would ever know that it was tried. */
  async function refuseOddCall(
    { caller, requestId, request }: Exchange,
    { id, name, args }: OddCall,
  ): Promise<Response> {
    const client = toClientName(request.headers.get('user-agent'));
    const outcome = await callDoor(caller, name, args, { requestId, client, signal: request.signal });
    if (!outcome.ok && outcome.error.code === 'unavailable') {
      const body = JSON.stringify({ jsonrpc: '2.0', id, error: protocolErrorOf(outcome.error) });
      return asUnavailable(body, outcome.error);
    }
    const { message, ...data } = outcome.ok
      ? { message: 'The arguments must be an object.' }
      : outcome.error.toPublic();
    const error = { code: ProtocolErrorCode.InvalidParams, message, data: { message, ...data } };
    return Response.json({ jsonrpc: '2.0', id, error }, { status: 400 });
  }

  /** A defect behind the door: without this, the SDK would show the text of whatever was thrown to the client. */
  function callDoor(caller: Caller, tool: string, args: unknown, facts: RequestFacts): Promise<Outcome> {
    return door.call(caller, tool, args, facts).catch((thrown: unknown) => {
      observe({ kind: 'crash-averted', where: 'tools/call', error: thrown });
      return { ok: false, error: toFrameError(thrown) };
    });
  }

  return { serve };
}

// Private

const CACHEABLE = { ttlMs: 60_000, cacheScope: 'private' } as const;
const SERVER_OPTIONS = {
  capabilities: { tools: {} },
  instructions: INSTRUCTIONS,
  cacheHints: { 'tools/list': CACHEABLE, 'server/discover': CACHEABLE },
};
const KEEP_ALIVE_MS = 15_000;
/** Of messages in one body. Only the revision of March 2025 has batches, and no client is known to send any. */
const MAX_BATCH = 10;
/** JSON-RPC leaves -32000 … -32099 to servers. */
const UNAVAILABLE = -32000;

interface OddCall {
  id: string | number;
  name: string;
  args: unknown;
}

/** A call of a tool whose arguments are no object. */
function oddCall(body: unknown): OddCall | undefined {
  const args = (body as { params?: { arguments?: unknown } } | null)?.params?.arguments;
  if (args === undefined || (typeof args === 'object' && args !== null && !Array.isArray(args))) return undefined;
  const found = OddCall.safeParse(body);
  return found.success
    ? { id: found.data.id, name: found.data.params.name, args: found.data.params.arguments }
    : undefined;
}

const OddCall = z.object({
  jsonrpc: z.literal('2.0'),
  id: z.union([z.string(), z.number()]),
  method: z.literal('tools/call'),
  params: z.object({
    name: z.string(),
    arguments: z.unknown(),
  }),
});

function serveModern(server: Server, { request, body }: Exchange): Promise<Response> {
  const handler = createMcpHandler(() => server, { legacy: 'reject', keepAliveMs: KEEP_ALIVE_MS });
  return handler.fetch(request, { parsedBody: body });
}

/** A batch is one request among others: it has the room of one. */
function oneAfterAnother() {
  let last: Promise<unknown> = Promise.resolve();
  return <T>(work: () => Promise<T>): Promise<T> => {
    const next = last.then(work);
    last = next.catch(() => {});
    return next;
  };
}

function tooManyMessages(): Response {
  const error = { code: ProtocolErrorCode.InvalidRequest, message: `A batch has at most ${MAX_BATCH} messages.` };
  return Response.json({ jsonrpc: '2.0', id: null, error }, { status: 400 });
}

/** What cancels a request of the same batch would leave it without an answer, for which the transport waits for ever. */
function withoutCancellations(body: unknown): unknown {
  if (!Array.isArray(body)) return body;
  const rest = body.filter(message => message?.method !== 'notifications/cancelled');
  return rest.length > 0 ? rest : body;
}

async function serveLegacy(server: Server, { request, body }: Exchange): Promise<Response> {
  const transport = new WebStandardStreamableHTTPServerTransport({
    sessionIdGenerator: undefined,
    enableJsonResponse: true,
  });
  await server.connect(transport);
  const gone = Promise.withResolvers<Response>();
  const leave = () => gone.resolve(new Response(null, { status: 499 }));
  if (request.signal.aborted) leave();
  request.signal.addEventListener('abort', leave, { once: true });
  try {
    const parsedBody = withoutCancellations(body);
    return await Promise.race([gone.promise, transport.handleRequest(acceptingBoth(request), { parsedBody })]);
  } finally {
    request.signal.removeEventListener('abort', leave);
    await server.close(); // Aborts the calls of a client that is gone.
  }
}

/** The 2025 transport insists on both media types, although it only answers JSON here; curl sends one that covers it. */
function acceptingBoth(request: Request): Request {
  const accept = request.headers.get('accept') ?? '*/*';
  const isBoth = accept.includes('application/json') && accept.includes('text/event-stream');
  if (isBoth || !/\*\/\*|application\/(\*|json)/.test(accept)) return request;
  const headers = new Headers(request.headers);
  headers.set('accept', 'application/json, text/event-stream');
  return new Request(request.url, { method: 'POST', headers });
}

/** Name and version of the client program: from the envelope (2026-07-28), else its User-Agent. */
function clientOf(server: Server, request: Request): string | undefined {
  const info = server.getClientVersion();
  return toClientName(info ? `${info.name}/${info.version}` : request.headers.get('user-agent'));
}

function refuse(error: FrameError, requestId: string): CallToolResult {
  const protocolError = protocolErrorOf(error);
  if (protocolError) throw new ProtocolError(protocolError.code, protocolError.message, protocolError.data);
  return { ...toResult(toPublic(error, requestId)), isError: true };
}

/** Errors of a tool are results, so that the model reads them; the two that are not about the call are JSON-RPC errors. */
function protocolErrorOf(error: FrameError) {
  const { message } = error;
  switch (error.code) {
    case 'args/unknown-tool':
      return { code: ProtocolErrorCode.InvalidParams, message, data: error.toPublic() };
    case 'unavailable':
      return { code: UNAVAILABLE, message, data: error.toPublic() };
    default:
      return undefined;
  }
}

function toPublic(error: FrameError, requestId: string): Record<string, unknown> {
  switch (error.code) {
    case 'internal':
      // What nobody foresaw is found in our log by its request.
      return { ...error.toPublic(), request_id: requestId };
    case 'sql/failed':
      // In Postgres's own words, and they quote what stood in a row: `invalid input syntax for type integer: "…"`.
      return fence(error.toPublic());
    default:
      return error.toPublic();
  }
}

function shown({ result, untrusted }: Extract<Outcome, { ok: true }>): Record<string, unknown> {
  return untrusted ? fence(result) : result;
}

function toJson(body: string): Response {
  return new Response(body, { headers: { 'Content-Type': 'application/json' } });
}

function toResult(result: Record<string, unknown>): CallToolResult {
  return { content: [{ type: 'text', text: JSON.stringify(result) }], structuredContent: result };
}

/** The same JSON-RPC error, for clients and proxies that go by the status. */
function asUnavailable(body: string, { retryAfterSeconds = 1 }: FrameError): Response {
  const headers = { 'Content-Type': 'application/json', 'Retry-After': String(retryAfterSeconds) };
  return new Response(body, { status: 503, headers });
}
