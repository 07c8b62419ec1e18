import { once } from 'node:events';
import { type IncomingHttpHeaders, type RequestOptions, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import type { Gateway } from './fixture.ts';

/** HTTP as tests need it: any Host, any header, and bytes that are no HTTP at all. */
export interface Reply {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
}

export interface Ask extends RequestOptions {
  body?: string | Buffer;
}

export async function ask({ port }: Gateway, path: string, { body, ...options }: Ask = {}): Promise<Reply> {
  const sent = request({ port, path, host: '127.0.0.1', agent: false, ...options });
  sent.end(body);
  const [response] = await once(sent, 'response');
  return { status: response.statusCode, headers: response.headers, body: await text(response) };
}

export const asGood = { authorization: 'Bearer good', 'content-type': 'application/json' };

/** POST /frame/mcp by somebody with a good token. */
export function post(gateway: Gateway, body: string | Buffer, headers: Record<string, string> = {}): Promise<Reply> {
  return ask(gateway, '/frame/mcp', { method: 'POST', headers: { ...asGood, ...headers }, body });
}

export function callTool(name: string, args: unknown = {}, id = 1): string {
  return JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/call', params: { name, arguments: args } });
}

export async function openSocket({ port }: Pick<Gateway, 'port'>): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  // Being cut off is what many of these tests are about.
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

/** Sends the bytes and collects what comes back until the server closes. */
export async function exchange(gateway: Gateway, bytes: string | Buffer): Promise<string> {
  const socket = await openSocket(gateway);
  socket.write(bytes);
  return untilClosed(socket);
}

export async function untilClosed(socket: Socket): Promise<string> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  // The server may end its half politely, or reset the connection.
  await new Promise(resolve => socket.once('end', resolve).once('close', resolve));
  socket.destroy();
  return Buffer.concat(chunks).toString();
}

/** Resolves once the text has come back. */
export async function untilText(socket: Socket, wanted: string): Promise<string> {
  let received = '';
  return new Promise((resolve, reject) => {
    socket.on('data', (chunk: Buffer) => {
      received += chunk.toString();
      if (received.includes(wanted)) resolve(received);
    });
    socket.once('close', () => reject(new Error(`closed before ${wanted}: ${received}`)));
  });
}
