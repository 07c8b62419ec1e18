import { leastRoleFor, type Right, type Roles, rightsOf } from '../../config/roles.ts';
import { readSettings } from '../../config/settings.ts';
import { entitiesOf, explain, type Judgement, whyStranger } from '../../customers/access-rules.ts';
import type { Customer, Customers } from '../../customers/customer.ts';
import { readCustomers, servedCustomers } from '../../customers/customers-file.ts';
import { parseUsername } from '../../customers/who.ts';
import { orDidYouMean } from '../../did-you-mean.ts';
import { type Command, defineCommand, EXIT, type Io, WrongUsage } from '../command.ts';
import { withoutSecrets } from '../customers-part.ts';

export interface ToolName {
  name: string;
  title: string;
  right?: Right;
}

/** Answers from the files alone. It sees no token: where one would decide, it says so. */
export function createCanCommand(tools: readonly ToolName[]): Command {
  const toolNames = new Set(tools.map(({ name }) => name));
  return defineCommand({
    usage: `Usage: frame can <email> [tool] [options]

Says which access rule admits this person, which tools they get, and who gets the others. Exit code 1 if they are not
admitted, or may not call the tool. What only their token knows can be given:
  --group GUID        a group they are in (again for more)
  --app-role NAME     an app role they have (again for more)
  --oid GUID          their object id`,
    options: {
      group: { type: 'string', multiple: true },
      'app-role': { type: 'string', multiple: true },
      oid: { type: 'string' },
    },
    words: { least: 1, most: 2 },
    async run({ words: [email = '', tool], values, flags, isJson }, io) {
      if (tool !== undefined && !toolNames.has(tool)) {
        throw new WrongUsage(`There is no tool \`${tool}\`${orDidYouMean(tool, toolNames)}`);
      }
      const settings = await readSettings(io.env, flags, io.cwd, { toolNames });
      const { customersFile, roles } = settings;
      const env = await withoutSecrets(customersFile, io.env);
      const customers = await readCustomers(customersFile, { roles: new Set(roles.keys()), env });
      const customer = findCustomer(customers, settings.customer, email);
      const stranger = customer
        ? (whyStranger(customer, email) ?? whyGuest(customer, email))
        : 'no customer has this e-mail domain';
      if (!customer || stranger) {
        const refusal = { email, customer: customer?.id, admitted: false, reason: stranger };
        io.out(isJson ? JSON.stringify(refusal) : `${email} is not admitted: ${stranger}.`);
        return EXIT.failed;
      }
      const { group: groups = 'unknown', 'app-role': appRoles = 'unknown', oid: objectId = 'unknown' } = values;
      const judgements = explain(customer, { username: email, objectId, groups, appRoles });
      const answer = conclude(customer, judgements, roles, tools);
      if (isJson) io.out(JSON.stringify({ email, ...answer }));
      else printAnswer(email, customer, answer, tool ? tools.filter(({ name }) => name === tool) : tools, io);
      const may = tool === undefined ? answer.admitted : answer.tools.includes(tool);
      return may ? EXIT.ok : EXIT.failed;
    },
  });
}

// Private

/** Guests of a tenant carry the mark in their sign-in names. */
function whyGuest({ entra }: Customer, email: string): string | undefined {
  return entra.guests || !/#EXT#/i.test(email)
    ? undefined
    : 'they are a guest, and guests may not sign in (entra.guests)';
}

interface Answer {
  customer: string;
  rules: { number: number; who: string; role: string; outcome: Judgement['outcome'] | 'not-reached'; why: string }[];
  admitted: boolean;
  /** The deciding rule, and what it gives. */
  rule?: number;
  role?: string;
  entities: string[];
  /** Rules above the deciding one that only a token can decide. */
  depends_on: number[];
  tools: string[];
  others: { tool: string; least_role: string | undefined }[];
  rights: Right[];
}

function findCustomer(customers: Customers, pinnedTo: string | undefined, email: string): Customer | undefined {
  if (pinnedTo !== undefined) return servedCustomers(customers, pinnedTo)[0];
  const name = parseUsername(email);
  if (!name) throw new WrongUsage(`\`${email}\` is not an e-mail address.`);
  return customers.byDomain(name.domain);
}

function conclude(
  customer: Customer,
  judgements: readonly Judgement[],
  roles: Roles,
  tools: readonly ToolName[],
): Answer {
  const first = judgements.findIndex(({ outcome }) => outcome === 'matched');
  const reached = first === -1 ? judgements : judgements.slice(0, first + 1);
  const rule = judgements[first]?.rule;
  const granted = roles.get(rule?.role ?? '');
  const has = ({ name, right }: ToolName) =>
    (granted?.has('*') || granted?.has(name)) && (right === undefined || granted.has(right));
  return {
    customer: customer.id,
    rules: judgements.map(({ rule: { number, text, role }, outcome, why }, i) => ({
      number,
      who: text,
      role,
      ...(i < reached.length ? { outcome, why } : { outcome: 'not-reached', why: 'is not reached' }),
    })),
    admitted: rule !== undefined,
    rule: rule?.number,
    role: rule?.role,
    entities: rule ? entitiesOf(customer, rule).map(({ id }) => id) : [],
    depends_on: reached.filter(({ outcome }) => outcome === 'unknown').map(judgement => judgement.rule.number),
    tools: tools.filter(has).map(({ name }) => name),
    others: tools
      .filter(tool => !has(tool))
      .map(({ name, right }) => ({ tool: name, least_role: leastRoleFor(roles, name, right) })),
    rights: [...rightsOf(granted ?? new Set())],
  };
}

function printAnswer(email: string, customer: Customer, answer: Answer, tools: readonly ToolName[], { out }: Io): void {
  out(`${email} belongs to ${customer.name} (${customer.id}).`);
  for (const { number, who, role, why } of answer.rules) out(`  rule ${number}  ${who} → ${role}: ${why}`);
  out(verdictOf(answer));
  // Before the token has spoken nobody can say which tools they get.
  if (!answer.admitted && answer.depends_on.length > 0) return;
  if (answer.admitted) out(`  Personal data: ${answer.rights.includes('pii:read') ? 'in plain' : 'masked'}.`);
  const width = Math.max(...tools.map(({ name }) => name.length));
  for (const { name, title } of tools) {
    const other = answer.others.find(({ tool }) => tool === name);
    const note = other?.least_role ? `the least role that has it is ${other.least_role}` : 'no role has it';
    out(`  ${other ? 'no ' : 'yes'}  ${name.padEnd(width)}  ${other ? note : title}`);
  }
}

function verdictOf({ admitted, rule, role, entities, depends_on }: Answer): string {
  const open = new Intl.ListFormat('en', { type: 'disjunction' }).format(depends_on.map(String));
  const ways = '--group, --app-role and --oid say what it holds';
  if (!admitted && open) return `Their token decides whether rule ${open} admits them; ${ways}.`;
  if (!admitted) return 'No rule matches: they are not admitted.';
  const decision = `Rule ${rule} decides: role ${role}, entities ${entities.join(', ')}.`;
  return open ? `${decision} But their token decides whether rule ${open} comes first; ${ways}.` : decision;
}
