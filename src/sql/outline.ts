import { parseSelect } from './parse.ts';

/** The names of tables that a query asks for, for the audit; nothing of a text that is no query. Never throws. */
export async function outlineSql(text: string): Promise<string[]> {
  try {
    const { select } = await parseSelect(text);
    const names = new Set<string>();
    collectTables(select, names);
    return [...names].slice(0, MAX_OUTLINED);
  } catch {
    return [];
  }
}

// Private

const MAX_OUTLINED = 20;

function collectTables(node: unknown, names: Set<string>): void {
  if (typeof node !== 'object' || node === null) return;
  for (const [type, value] of Object.entries(node)) {
    if (type === 'RangeVar') names.add(fullName(value));
    collectTables(value, names);
  }
}

/** What is no plain name may be a value that slipped. */
function fullName({ catalogname, schemaname, relname }: Record<string, unknown>): string {
  const parts = [catalogname, schemaname, relname].filter(part => part !== undefined).map(String);
  return parts.map(part => (/^\w{1,63}$/.test(part) ? part : '?')).join('.');
}
