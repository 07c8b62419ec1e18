/**
 * The common case of `tools/call`, read without the SDK, which costs four times as much as all of our own work on such a
 * request. Only what is beyond doubt is a plain call; whatever is odd, missing or new is left to the SDK and its rules. A
 * test holds both answers against each other, byte by byte.
 */
export interface PlainCall {
  era: 'modern' | '2025';
  id: string | number;
  name: string;
  args: Record<string, unknown> | undefined;
  /** As the client introduced itself; only the modern envelope says so. */
  client: string | undefined;
}

/** Undefined: not for us. `headers` were checked by nobody yet, but for the media type of the body. */
export function readPlainCall(headers: Headers, body: unknown): PlainCall | undefined {
  if (!isObject(body) || !hasOnly(body, ENVELOPE_KEYS) || body.jsonrpc !== '2.0' || body.method !== 'tools/call') {
    return undefined;
  }
  const { id, params } = body;
  if (!(typeof id === 'string' || Number.isSafeInteger(id)) || !isObject(params)) return undefined;
  const { name, arguments: args } = params;
  if (typeof name !== 'string' || !(args === undefined || isObject(args))) return undefined;
  if (headers.has('mcp-session-id') || !acceptsBoth(headers)) return undefined;
  const common = { id: id as string | number, name, args };
  const version = headers.get('mcp-protocol-version');
  if (version === MODERN) {
    const client = readModern(headers, params);
    return client === undefined ? undefined : { ...common, era: 'modern', client };
  }
  const isOld = version !== null && ERA_2025.has(version) && hasOnly(params, PARAMS_2025) && !headers.has('mcp-method');
  return isOld && !headers.has('mcp-name') ? { ...common, era: '2025', client: undefined } : undefined;
}

/** The whole answer as the SDK would write it. `text`: the result of the tool as JSON, which stands in it twice. */
export function writePlainResult({ era, id }: PlainCall, text: string, isError: boolean, server: object): string {
  const error = isError ? ',"isError":true' : '';
  const envelope =
    era === 'modern' ? `,"resultType":"complete","_meta":{"${META}serverInfo":${JSON.stringify(server)}}` : '';
  const content = `[{"type":"text","text":${JSON.stringify(text)}}]`;
  const result = `{"content":${content},"structuredContent":${text}${error}${envelope}}`;
  return `{"result":${result},"jsonrpc":"2.0","id":${JSON.stringify(id)}}`;
}

// Private

const MODERN = '2026-07-28';
const ERA_2025 = new Set(['2025-11-25', '2025-06-18']);
const META = 'io.modelcontextprotocol/';
const ENVELOPE_KEYS = new Set(['jsonrpc', 'id', 'method', 'params']);
const PARAMS_2025 = new Set(['name', 'arguments']);
const PARAMS_MODERN = new Set(['name', 'arguments', '_meta']);
const META_KEYS = new Set([`${META}protocolVersion`, `${META}clientInfo`, `${META}clientCapabilities`]);
const CLIENT_KEYS = new Set(['name', 'version']);

/** Who calls; undefined when the headers and the envelope are not exactly of one mind. */
function readModern(headers: Headers, params: Record<string, unknown>): string | undefined {
  const { _meta: meta } = params;
  if (headers.get('mcp-method') !== 'tools/call' || headers.get('mcp-name') !== params.name) return undefined;
  if (!hasOnly(params, PARAMS_MODERN) || !isObject(meta) || !hasOnly(meta, META_KEYS)) return undefined;
  const client = meta[`${META}clientInfo`];
  const capabilities = meta[`${META}clientCapabilities`];
  if (meta[`${META}protocolVersion`] !== MODERN || !isObject(client) || !isObject(capabilities)) return undefined;
  if (!hasOnly(client, CLIENT_KEYS) || !hasOnly(capabilities, NONE)) return undefined;
  const { name, version } = client;
  return typeof name === 'string' && typeof version === 'string' ? `${name}/${version}` : undefined;
}

const NONE = new Set<string>();

function acceptsBoth(headers: Headers): boolean {
  const accept = headers.get('accept') ?? '';
  return accept.includes('application/json') && accept.includes('text/event-stream');
}

function hasOnly(object: object, keys: ReadonlySet<string>): boolean {
  for (const key in object) if (!keys.has(key)) return false;
  return true;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
