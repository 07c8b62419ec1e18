import { z } from 'zod';
import { parseHostPort, whyNotOrigin } from '../address.ts';
import { Secret } from '../secret.ts';
import { ENVIRONMENTS } from './customer.ts';
import { DOMAIN, GUID, parseWho } from './who.ts';

const CUSTOMER_ID = { pattern: /^[a-z][a-z0-9-]{1,30}$/, words: '2 to 31 of a-z, 0-9 and -' };
const ENTITY_ID = { pattern: /^[a-z][a-z0-9_-]{0,30}$/, words: '1 to 31 of a-z, 0-9, _ and -' };
const SERVICE_NAME = { pattern: /^[a-z][a-z0-9-]{0,30}$/, words: '1 to 31 of a-z, 0-9 and -' };

/** Paths at which the gateway itself answers. */
const OWN_PATHS = ['frame', 'api', 'authorize', 'consent', 'callback', 'token', 'register', 'revoke'];

/** The shape of customers.yaml, and what editors show about it. What entries say about each other: contradictions.ts. */
const text = z.string().min(1).max(200);
const guid = z.string().regex(GUID, { error: 'must be a GUID, as Entra shows it' }).toLowerCase();
const origin = z
  .string()
  .refine(value => whyNotOrigin(value) === undefined, { error: issue => whyNotOrigin(String(issue.input)) });

const who = z.string().transform((value, context) => {
  const parsed = parseWho(value);
  if (parsed) return { text: value, parsed };
  const message = 'must be name@domain, *@domain, oid:GUID, group:GUID or role:App.Role';
  context.issues.push({ code: 'custom', input: value, message });
  return z.NEVER;
});

const entra = z.strictObject({
  tenant_id: guid.describe("The customer's Entra tenant."),
  audience: z.array(text).min(1).describe('Exact values accepted as `aud`.'),
  scope: z.string().regex(/^\S+$/, { error: 'must be one word' }).describe('Must be in `scp`.'),
  client_id: guid.optional().describe('For sign-in through the gateway.'),
  client_secret: z
    .string()
    .min(1)
    .transform(value => new Secret(value))
    .optional()
    .describe('For sign-in through the gateway; name an environment variable rather than the secret itself.'),
  authority: origin
    .default('https://login.microsoftonline.com')
    .describe('Where Entra is: another one for sovereign clouds and tests.'),
  guests: z.boolean().default(false).describe('Guests of the tenant may sign in.'),
});

const entity = z.strictObject({
  name: text,
  environments: z
    .array(z.enum(ENVIRONMENTS))
    .min(1)
    .refine(hasNoRepeats, { error: 'must name each environment once' })
    .default(['prod'])
    .describe('One Postgres schema each.'),
});

const rule = z.strictObject({
  who: who.describe('name@domain, *@domain, oid:GUID, group:GUID or role:App.Role'),
  role: text.describe('A role of config/roles.yaml.'),
  entities: z
    .array(z.string())
    .min(1)
    .refine(hasNoRepeats, { error: 'must name each entity once' })
    .optional()
    .describe("Default: all of the customer's."),
});

const service = z
  .string()
  .refine(value => (parseHostPort(value)?.port ?? 0) > 0, { error: 'must be host:port, such as 127.0.0.1:8443' });

const customer = z.strictObject({
  name: text,
  origin: origin.optional().describe("Public origin of this customer's Mac mini."),
  host: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._@-]*$/, { error: 'must be an ssh destination such as axe-macmini' })
    .optional()
    .describe('ssh destination of the Mac mini.'),
  domains: z
    .array(z.string().regex(DOMAIN, { error: 'must be a domain such as example.com' }).toLowerCase())
    .min(1)
    .describe('E-mail domains, unique over all customers.'),
  entra,
  sign_in: z
    .enum(['broker', 'direct'])
    .default('broker')
    .describe('broker: programs sign in at Frame, and Frame at Entra. direct: programs sign in at Entra.'),
  entities: namedBy(ENTITY_ID, entity).describe('Legal units, brands or apps, with schemas of their own.'),
  access: z.array(rule).min(1).describe('The first match wins; nobody matched = not admitted.'),
  services: z
    .record(nameOf(SERVICE_NAME, OWN_PATHS), service)
    .default({})
    .describe('Other services on this Mac: {origin}/{name}.'),
});

/** `frame_control` is the database of the gateway itself. */
export const customersSchema = z.strictObject({
  customers: namedBy(CUSTOMER_ID, customer, ['control']).describe('Whom we serve, by id.'),
});

export type CustomerEntry = z.output<typeof customer>;

/** For editors; config/customers.schema.json is this. */
export function customersJsonSchema(): object {
  return { title: 'Frame: customers.yaml', ...z.toJSONSchema(customersSchema, { io: 'input' }) };
}

// Private

interface NameRule {
  pattern: RegExp;
  words: string;
}

function namedBy<T extends z.ZodType>(rule: NameRule, values: T, reserved: readonly string[] = []) {
  return z
    .record(nameOf(rule, reserved), values)
    .refine(entries => Object.keys(entries).length > 0, { error: 'must not be empty' });
}

function nameOf({ pattern, words }: NameRule, reserved: readonly string[]) {
  return z
    .string()
    .regex(pattern, { error: `must be ${words}, beginning with a letter` })
    .refine(name => !reserved.includes(name), { error: 'is a name that Frame needs itself' });
}

function hasNoRepeats(items: readonly string[]): boolean {
  return new Set(items).size === items.length;
}
