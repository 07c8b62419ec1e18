import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { createCompanies } from './companies.ts';

/** The companies' Entra behind a line that does what lines do. */
export interface KeysGate {
  entra: ReturnType<typeof createCompanies>;
  /** What happens to requests from now on; those that hang are let go. */
  become(mood: Mood): void;
  /** Requests so far. */
  readonly asked: number;
  /** Resolves at the next request. */
  nextAsked(): Promise<unknown>;
  close(): Promise<void>;
}

export type Mood = 'good' | 'gone' | 'hanging' | 'garbage' | 'a page' | 'failing' | 'endless';

export async function openKeysGate(): Promise<KeysGate> {
  let mood: Mood = 'good';
  let asked = 0;
  const hanging = new Set<ServerResponse>();
  const server = createServer(async (request, response) => {
    asked += 1;
    server.emit('asked');
    if (mood === 'gone') return void request.socket.destroy();
    if (mood === 'hanging') return void hanging.add(response);
    if (mood !== 'good') return void spoil(response, mood);
    const answer = await entra.app.request(request.url ?? '/');
    response.writeHead(answer.status, Object.fromEntries(answer.headers)).end(await answer.text());
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const address = server.address();
  const entra = createCompanies(`http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`);
  return {
    entra,
    become(next) {
      mood = next;
      for (const response of hanging) response.destroy();
      hanging.clear();
    },
    get asked() {
      return asked;
    },
    nextAsked: () => once(server, 'asked'),
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

// Private

function spoil(response: ServerResponse, mood: Exclude<Mood, 'good' | 'gone' | 'hanging'>): void {
  const json = { 'content-type': 'application/json' };
  switch (mood) {
    case 'garbage':
      response.writeHead(200, json).end('{"keys":[{"kty":"oct","k":"c2VjcmV0","kid":"x"},7,null]}');
      return;
    case 'a page':
      response.writeHead(200, { 'content-type': 'text/html' }).end('<h1>Sign in to the hotel network</h1>');
      return;
    case 'failing':
      response.writeHead(500, json).end('{}');
      return;
    case 'endless':
      response.writeHead(200, json).end(`{"keys":[${'{},'.repeat(100_000)}{}]}`);
  }
}
