import type { Customer } from '../customers/customer.ts';
import type { Door } from '../tools/door.ts';
import type { StandInEntra } from './entra/stand-in-entra.ts';
import type { StandInTenant } from './entra/tenant.ts';

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
): Promise<string> {
  const companies = gateway.customers().map(customer => ({
    name: customer.name,
    url: `${gateway.originOf(customer)}/frame/mcp`,
    people: tenants.find(({ tenantId }) => tenantId === customer.entra.tenantId)?.people ?? [],
  }));
  const [first] = companies;
  const [person] = first?.people ?? [];
  if (!first || !person) return 'Frame is ready, and customers.yaml has no sample company left.';
  const people = companies.flatMap(company => company.people.map(someone => ({ ...someone, company: company.name })));
  const tokens = await Promise.all(
    people.map(async ({ username }) => `  ${username}\n  ${await entra.mint(username)}\n`),
  );
  const authorization = `"Authorization: Bearer $(scripts/frame token ${person.username})"`;
  return `
Frame is ready.

MCP URL
${companies.map(({ url, name }) => `  ${url}   ${name}`).join('\n')}
Stand-in Entra
  ${entra.authority}

Sample people
${people.map(({ username, about, company }) => `  ${username.padEnd(36)} ${company}, ${about}`).join('\n')}

A token for each, good for about an hour (\`scripts/frame token <e-mail>\` prints a fresh one)
${tokens.join('')}
Connect Claude Code
  claude mcp add --transport http frame ${first.url} \\
    --header ${authorization}
Connect the Inspector
  npx @modelcontextprotocol/inspector --cli ${first.url} --transport http \\
    --method tools/list --header ${authorization}

Ctrl-C stops everything; the data stays in .frame/.`;
}
