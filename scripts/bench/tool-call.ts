/** Headers and body of one `tools/call`, in the era of the server. */
export type Era = 'modern' | '2025';

export function headersOf(era: Era, tool: string, token?: string): Record<string, string> {
  return {
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
    'mcp-protocol-version': era === 'modern' ? '2026-07-28' : '2025-11-25',
    ...(era === 'modern' && { 'mcp-method': 'tools/call', 'mcp-name': tool }),
    ...(token !== undefined && { authorization: `Bearer ${token}` }),
  };
}

export function bodyOf(era: Era, tool: string, args: object): string {
  const params = { name: tool, arguments: args, ...(era === 'modern' && { _meta: ENVELOPE }) };
  return JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params });
}

// Private

const ENVELOPE = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientInfo': { name: 'bench', version: '1' },
  'io.modelcontextprotocol/clientCapabilities': {},
};
