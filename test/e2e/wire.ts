import { once } from 'node:events';
import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import { z } from 'zod';

/** HTTP and JSON-RPC as a stranger would write them: any header, any bytes, and nothing mended on the way. */
export interface Ask {
  method?: string;
  host?: string;
  headers?: Record<string, string | string[]>;
  body?: string | Buffer;
}

export interface Reply {
  status: number;
  /** Names in lower case, repeated ones joined. */
  headers: Record<string, string | undefined>;
  /** How often a header was sent. */
  count(name: string): number;
  body: string;
}

export type Row = Record<string, unknown>;

export async function ask(port: number, path: string, { method = 'GET', host, headers, body }: Ask = {}) {
  const sent = request({
    port,
    path,
    method,
    host: '127.0.0.1',
    agent: false,
    headers: { ...headers, ...(host && { host }) },
  });
  sent.end(body);
  const [response] = await once(sent, 'response');
  const names: string[] = response.rawHeaders.filter((_: string, i: number) => i % 2 === 0);
  const reply: Reply = {
    status: response.statusCode,
    headers: response.headers,
    count: name => names.filter(sentName => sentName.toLowerCase() === name).length,
    body: await text(response),
  };
  // Whoever answers, and whatever: it says which release it was and for which request (contract §3).
  for (const name of ['x-frame-release', 'x-request-id']) {
    if (reply.count(name) !== 1) throw new Error(`${method} ${path}: ${reply.count(name)} × ${name}`);
  }
  return reply;
}

/** A problem of RFC 9457: its status twice, its code, and that it is one. */
export function problemOf(reply: Reply): { status: number; code: unknown; challenges: number } {
  const { status, code, detail, request_id: id } = objectOf(reply);
  const isProblem = reply.headers['content-type'] === 'application/problem+json' && typeof detail === 'string';
  if (!isProblem || status !== reply.status || id !== reply.headers['x-request-id']) {
    throw new Error(`no problem: ${reply.status} ${JSON.stringify(reply.headers)} ${reply.body}`);
  }
  return { status: reply.status, code, challenges: reply.count('www-authenticate') };
}

export function objectOf({ body }: Reply): Row {
  return z.record(z.string(), z.unknown()).parse(JSON.parse(body));
}

/** A person at a gateway. */
export interface Seat {
  port: number;
  host: string;
  token: string;
}

export function post({ port, host, token }: Seat, body: string | Buffer, headers: Record<string, string> = {}) {
  return ask(port, '/frame/mcp', {
    method: 'POST',
    host,
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}`, ...headers },
    body,
  });
}

export function rpc(method: string, params: Row = {}, id: unknown = 1): string {
  return JSON.stringify({ jsonrpc: '2.0', id, method, params });
}

const META = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientInfo': { name: 'probe', version: '1' },
  'io.modelcontextprotocol/clientCapabilities': {},
};

/** The body and the headers of one request at 2026-07-28. */
export function modern(method: string, params: Row = {}): [string, Record<string, string>] {
  const { name } = params;
  return [
    rpc(method, { ...params, _meta: META }),
    {
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': method,
      ...(typeof name === 'string' && { 'mcp-name': name }),
    },
  ];
}

const Message = z.object({
  result: z.looseObject({ structuredContent: z.record(z.string(), z.unknown()), isError: z.boolean().optional() }),
});
const Refusal = z.object({ error: z.looseObject({ code: z.number(), message: z.string() }) });

/** What a tool answered. `code` is the error's, when there is one. */
export interface Answer {
  status: number;
  code?: string;
  value: Row;
  /** All of the body, for what must not be in it. */
  body: string;
}

export async function call(
  seat: Seat,
  tool: string,
  args: Row = {},
  headers?: Record<string, string>,
): Promise<Answer> {
  const reply = await post(seat, rpc('tools/call', { name: tool, arguments: args }), headers);
  const { status, body } = reply;
  const message = objectOf(reply);
  if ('error' in message) {
    const { error } = Refusal.parse(message);
    return { status, body, code: String(error.code), value: error };
  }
  if (!('result' in message)) return { status, body, code: String(message.code), value: message };
  const { result } = Message.parse(message);
  const { structuredContent: value } = result;
  return { status, body, value, ...(result.isError && { code: String(value.code) }) };
}

/** As `call`, for what has to work. */
export async function use(seat: Seat, tool: string, args: Row = {}): Promise<Row> {
  const { code, value } = await call(seat, tool, args);
  if (code !== undefined) throw new Error(`${tool}: ${JSON.stringify(value)}`);
  return value;
}

export async function change(seat: Seat, changes: Row[], place: Row = {}): Promise<Row> {
  const { plan } = await use(seat, 'plan_change', { ...place, changes });
  return use(seat, 'apply_change', { ...place, plan });
}

/** Rows as objects, all pages. */
export async function selectAll(seat: Seat, args: Row): Promise<Row[]> {
  const rows: Row[] = [];
  let cursor: unknown;
  do {
    const page = await use(seat, 'select_rows', { limit: 500, ...args, ...(cursor !== undefined && { cursor }) });
    const { columns, rows: cells } = Page.parse(page);
    rows.push(...cells.map(row => Object.fromEntries(columns.map((name, i) => [name, row[i]]))));
    cursor = page.next_cursor;
  } while (cursor !== undefined);
  return rows;
}

const Page = z.object({ columns: z.array(z.string()), rows: z.array(z.array(z.unknown())) });
