import { z } from 'zod';
import type { Secret } from '../../secret.ts';
import { faultOfChallenge } from './challenge.ts';
import { readObject } from './documents.ts';
import type { Question, Reply } from './network.ts';
import type { Path } from './path.ts';
import { broken, type Finding, ok } from './walk.ts';

/** Both eras of the protocol: without a token each must be asked for one, and with a token each must list the tools. */
export async function speak2025(path: Path, token: Secret | undefined): Promise<Finding> {
  const clientInfo = { name: 'frame-doctor', version: '1' };
  const initialize = question('initialize', { protocolVersion: OLD, capabilities: {}, clientInfo });
  const fault = await faultWithoutToken(path, initialize);
  if (fault || !token) return fault ?? ok(ASKS);
  const greeting = await post(path, withToken(initialize, token));
  const { result } = Greeting.safeParse(readObject(greeting)).data ?? {};
  if (!result) return refused(greeting, 'initialize', path);
  if (result.protocolVersion !== OLD) {
    const seen = `Asked for ${OLD}, it speaks ${result.protocolVersion}.`;
    return broken(seen, `Its release is of another time: \`frame deploy ${path.customer.id}\`.`);
  }
  return listTools(path, withToken(question('tools/list', {}, { 'MCP-Protocol-Version': OLD }), token));
}

export async function speak2026(path: Path, token: Secret | undefined): Promise<Finding> {
  const list = question('tools/list', { _meta: META }, { 'MCP-Protocol-Version': NEW, 'Mcp-Method': 'tools/list' });
  const fault = await faultWithoutToken(path, list);
  if (fault || !token) return fault ?? ok(ASKS);
  return listTools(path, withToken(list, token));
}

/** What a program does first, before it knows anything. */
export async function callWithoutToken(path: Path): Promise<Finding> {
  const fault = await faultWithoutToken(path, question('ping'));
  return fault ?? ok('401 with one Bearer challenge that leads to the metadata.');
}

// Private

const OLD = '2025-11-25';
const NEW = '2026-07-28';

const META = {
  'io.modelcontextprotocol/protocolVersion': NEW,
  'io.modelcontextprotocol/clientInfo': { name: 'frame-doctor', version: '1' },
  'io.modelcontextprotocol/clientCapabilities': {},
};

const ASKS = 'Asks for a token, as it must.';

const Greeting = z.object({ result: z.object({ protocolVersion: z.string() }) });
const Tools = z.object({ result: z.object({ tools: z.array(z.object({ name: z.string() })) }) });

function question(method: string, params: object = {}, headers: Record<string, string> = {}): Question {
  return {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Accept: 'application/json, text/event-stream', ...headers },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
  };
}

function withToken(asked: Question, token: Secret): Question {
  return { ...asked, headers: { ...asked.headers, Authorization: `Bearer ${token.reveal()}` } };
}

function post({ network, origin }: Path, asked: Question): Promise<Reply> {
  return network.ask(`${origin}/frame/mcp`, asked);
}

async function faultWithoutToken(path: Path, asked: Question): Promise<Finding | undefined> {
  return faultOfChallenge(await post(path, asked), path);
}

async function listTools(path: Path, asked: Question): Promise<Finding> {
  const reply = await post(path, asked);
  const { result } = Tools.safeParse(readObject(reply)).data ?? {};
  return result ? ok(`Lists ${result.tools.length} tools.`) : refused(reply, 'tools/list', path);
}

function refused(reply: Reply, method: string, { customer }: Path): Finding {
  const { detail, error } = Problem.parse(readObject(reply) ?? {});
  const said = detail ?? error?.message;
  const seen = `${method} with the token is answered with ${reply.status}${said === undefined ? '' : `: ${said}`}`;
  if (reply.status === 401) return broken(seen, 'Take a fresh access token that was made for this gateway.');
  if (reply.status === 403) {
    return broken(seen, `\`frame can <email> --customer ${customer.id}\` says which rule would admit this person.`);
  }
  return broken(
    seen,
    'Its log says why: log/blue.log or log/green.log of Frame on the machine, whichever slot is live.',
  );
}

const Problem = z.object({
  detail: z.string().optional().catch(undefined),
  error: z.object({ message: z.string() }).optional().catch(undefined),
});
