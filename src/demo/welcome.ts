import type { Customer } from '../customers/customer.ts';
import type { Door } from '../tools/door.ts';
import type { StandInEntra } from './entra/stand-in-entra.ts';
import type { StandInTenant } from './entra/tenant.ts';
import { createSampleTokens } from './sample-tokens.ts';

/** What the demonstration needs of a gateway; gateway.ts is its neighbour and does not meet it. */
export interface Running {
  originOf(customer: Customer): string;
  customers(): readonly Customer[];
  door: Door;
  reload(): Promise<void>;
  close(): Promise<void>;
}

/** What a newcomer sees: where it runs, how to connect, who they can be, and something to paste. */
export async function welcome(
  gateway: Running,
  entra: StandInEntra,
  tenants: readonly StandInTenant[],
  dataFolder: string | undefined,
): Promise<string> {
  const tokenOf = createSampleTokens(entra, 'npm start');
  const companies = gateway.customers().map(customer => ({
    customer,
    origin: gateway.originOf(customer),
    people: tenants.find(({ tenantId }) => tenantId === customer.entra.tenantId)?.people ?? [],
  }));
  const members = companies.flatMap(({ people, ...company }) => people.map(person => ({ ...company, person })));
  const [first] = members;
  if (!first) return 'Frame is ready, and customers.yaml has no sample company left.';
  const tokens = await Promise.all(members.map(async member => ({ ...member, token: await tokenOf(member) })));
  const url = `${first.origin}/frame/mcp`;
  const frame = dataFolder === undefined ? 'scripts/frame' : `FRAME_DATA=${dataFolder} scripts/frame`;
  const authorization = `"Authorization: Bearer $(${frame} token ${first.person.username})"`;
  const folder = dataFolder ?? '.frame';
  return `
Frame is ready.

MCP URL
${companies.map(({ origin, customer }) => `  ${origin}/frame/mcp   ${customer.name}, ${HOW[customer.signIn]}`).join('\n')}
Stand-in Entra
  ${entra.authority}

Sample people
${members.map(({ person, customer }) => `  ${person.username.padEnd(36)} ${customer.name}, ${person.about}`).join('\n')}

A token for each, to try without signing in (\`${frame} token <e-mail>\` prints a fresh one)
${tokens.map(({ person, token = 'none: not let in' }) => `  ${person.username}\n  ${token}\n`).join('')}
Connect Claude Code: it opens the sign-in page by itself
  claude mcp add --transport http frame ${url}
Connect the Inspector, here with a token
  npx @modelcontextprotocol/inspector --cli ${url} --transport http \\
    --method tools/list --header ${authorization}

Commands that read the sample companies, such as \`scripts/frame can\`, want to know where they are
  export FRAME_CUSTOMERS=${folder}/customers.yaml

Ctrl-C stops everything; the data stays in ${folder}/.`;
}

// Private

const HOW = {
  broker: 'programs sign in at Frame',
  direct: 'programs sign in at Entra',
} as const;
