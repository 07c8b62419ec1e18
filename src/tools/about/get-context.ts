import { z } from 'zod';
import { type Caller, isKeyAlone } from '../../access/caller.ts';
import { WRITE_SCOPE } from '../../access/scopes.ts';
import { defineTool, mayUse } from '../tool.ts';

/** Who am I, where may I work, and what may I not do: the first call of a conversation. */
export const getContext = defineTool({
  name: 'get_context',
  title: 'Who and where you are',
  description:
    'Your identity, company, entities, environments, role and limits, and what you may not do. Call it first.',
  kind: 'read',
  idempotent: true,
  atPlace: false,
  input: z.strictObject({}),
  output: z.looseObject({
    person: z.looseObject({}),
    customer: z.string(),
    role: z.string(),
    entities: z.array(z.looseObject({})),
    may_call: z.array(z.string()),
    may_not_call: z.array(z.looseObject({})),
  }),
  summarize: () => ({}),
  async run({ caller, means }) {
    const { customer, person, key, role, entities, scopes, rights = new Set(), withheldTools } = caller;
    const may = means.tools.filter(tool => mayUse(caller, tool));
    const mayNot = means.tools.filter(tool => !may.includes(tool));
    return {
      result: {
        person: {
          name: person.name,
          username: person.username,
          tenant_id: person.tenantId,
          object_id: person.objectId,
        },
        ...(key && { key: { id: key.id, name: key.name, role: key.role } }),
        customer: customer.name,
        role,
        admitted_by: caller.rule,
        scopes,
        rights: [...rights],
        personal_data: rights.has('pii:read') ? 'you read it in plain' : MASKED_FOR_YOU,
        entities: entities.map(({ id, name, environments }) => ({ id, name, environments })),
        may_call: may.map(({ name }) => name),
        may_not_call: mayNot.map(({ name: tool }) =>
          withheldTools?.has(tool)
            ? { tool, needs_scope: WRITE_SCOPE }
            : { tool, needs_role: means.leastRoleFor(tool) ?? 'none' },
        ),
        who_can_change: whoCanChange(caller),
        limits: {
          rows_by_default: means.limits.defaultRows,
          max_rows: means.limits.maxRows,
          max_rows_per_insert: means.limits.maxInsertRows,
          max_result_bytes: means.limits.maxResultBytes,
          plan_minutes: means.limits.planMinutes,
          cursor_minutes: means.limits.cursorMinutes,
          dropped_things_kept_days: means.limits.softDropDays,
        },
      },
    };
  },
});

// Private

function whoCanChange(caller: Caller): string {
  if (isKeyAlone(caller)) return NEW_KEY;
  const ask = caller.key ? `${ASK_OPERATOR} ${BOTH}` : ASK_OPERATOR;
  return caller.withheldTools?.size ? `${SIGN_IN_AGAIN} ${ask}` : ask;
}

const ASK_OPERATOR = 'The operator of Frame, with an access rule for you in customers.yaml.';
const NEW_KEY = 'The operator of Frame, with a key of another role or place (`frame keys create`).';
const BOTH = 'With a key beside your sign-in you may do what both may: what the key lacks, a key of another role has.';
const MASKED_FOR_YOU = 'you see masks; a role with the right pii:read reads it in plain';
const SIGN_IN_AGAIN = 'What needs a scope: you yourself, by signing in again with read and write. The rest:';
