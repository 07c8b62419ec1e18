import { mayWrite } from './scopes.ts';

/** A tool as far as scopes are concerned; tools/ knows the rest. */
export interface ToolKind {
  name: string;
  kind: 'read' | 'write' | 'destructive';
}

/** What of a role's tools (`*`: all there are) the scopes of the gateway let through, and what they keep back. */
export function withinScopes(
  granted: ReadonlySet<string>,
  scopes: readonly string[],
  tools: readonly ToolKind[],
): { tools: ReadonlySet<string>; withheldTools?: ReadonlySet<string> } {
  if (mayWrite(scopes)) return { tools: granted };
  const given = tools.filter(({ name }) => granted.has('*') || granted.has(name));
  return { tools: namesOf(given, true), withheldTools: namesOf(given, false) };
}

// Private

function namesOf(tools: readonly ToolKind[], readOnly: boolean): ReadonlySet<string> {
  return new Set(tools.filter(({ kind }) => (kind === 'read') === readOnly).map(({ name }) => name));
}
