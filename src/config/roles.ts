import { z } from 'zod';
import { orDidYouMean } from '../did-you-mean.ts';
import type { Mistake } from '../errors.ts';
import { parseYaml, type Report } from '../yaml-file.ts';

/**
 * Rights are no tools: they say what a tool shows. `*` is every tool and no right, so that a role reads personal data in
 * plain only where somebody wrote just that.
 */
export const RIGHTS = ['pii:read'] as const;

export type Right = (typeof RIGHTS)[number];

/** Role → the names of the tools it may call, or `*` for all of them, and its rights. */
export type Roles = ReadonlyMap<string, ReadonlySet<string>>;

/** Without `toolNames` the names of tools are not checked. */
export function parseRoles(
  file: string,
  text: string,
  toolNames?: ReadonlySet<string>,
): { value: Roles } | { mistakes: Mistake[] } {
  const parsed = parseYaml(file, text, rolesSchema, (tree, report) => {
    if (toolNames) reportUnknownTools(tree, toolNames, report);
    return tree;
  });
  if ('mistakes' in parsed) return parsed;
  return { value: new Map(Object.entries(parsed.value.roles).map(([name, { tools }]) => [name, new Set(tools)])) };
}

export function rightsOf(granted: ReadonlySet<string>): ReadonlySet<Right> {
  return new Set(RIGHTS.filter(right => granted.has(right)));
}

/** The role with the fewest tools that has this one, and the right that the tool is for. */
export function leastRoleFor(roles: Roles, tool: string, right?: Right): string | undefined {
  const size = (tools: ReadonlySet<string>) => (tools.has('*') ? Number.MAX_SAFE_INTEGER : tools.size);
  const having = [...roles].filter(
    ([, tools]) => (tools.has('*') || tools.has(tool)) && (right === undefined || tools.has(right)),
  );
  return having.sort(([, a], [, b]) => size(a) - size(b))[0]?.[0];
}

// Private

const role = z.strictObject({
  description: z.string().optional(),
  tools: z
    .array(z.string())
    .min(1)
    .refine(tools => new Set(tools).size === tools.length, { error: 'must name each tool once' }),
});

const rolesSchema = z.strictObject({
  roles: z
    .record(z.string().regex(/^[a-z][a-z0-9-]{0,30}$/, { error: 'must be a name of a-z, 0-9 and -' }), role)
    .refine(roles => Object.keys(roles).length > 0, { error: 'must not be empty' }),
});

const Readable = z.object({
  roles: z.record(
    z.string(),
    z
      .object({ tools: z.array(z.string().catch('*')) })
      .optional()
      .catch(undefined),
  ),
});

function reportUnknownTools(tree: unknown, toolNames: ReadonlySet<string>, report: Report): void {
  const names = new Set(['*', ...RIGHTS, ...toolNames]);
  const readable = Readable.safeParse(tree);
  for (const [role, entry] of Object.entries(readable.data?.roles ?? {})) {
    entry?.tools.forEach((tool, i) => {
      if (names.has(tool)) return;
      report(['roles', role, 'tools', i], name => `there is no tool \`${name}\`${orDidYouMean(tool, names)}`);
    });
  }
}
