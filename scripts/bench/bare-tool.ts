/**
 * What a request costs when there is nothing behind it: one tool that answers a constant, served as the SDK's
 * documentation says. Run with a port.
 */
import { serve } from '@hono/node-server';
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server';
import { Hono } from 'hono';
import { z } from 'zod';

const inputSchema = z.object({ number: z.int() });
const answer = { content: [{ type: 'text' as const, text: '{"rows":[[1,"Item 1.","1.50"]]}' }] };

const handler = createMcpHandler(() => {
  const server = new McpServer({ name: 'bare', version: '1' });
  server.registerTool('get_item', { description: 'A constant', inputSchema }, () => answer);
  return server;
});

const app = new Hono();
app.all('/mcp', c => handler.fetch(c.req.raw));
serve({ fetch: app.fetch, hostname: '127.0.0.1', port: Number(process.argv[2]) });
