import type { Report } from '../yaml-file.ts';
import type { Path } from '../yaml-source.ts';

/** The same tree with `${NAME}` in every text replaced from `env`. Keys stay as they are; nothing is replaced twice. */
export function expandVariables(tree: unknown, env: NodeJS.ProcessEnv, report: Report): unknown {
  return expand(tree, []);

  function expand(value: unknown, path: Path): unknown {
    if (typeof value === 'string') return expandText(value, path);
    if (Array.isArray(value)) return value.map((item, index) => expand(item, [...path, index]));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, expand(item, [...path, key])]));
  }

  function expandText(text: string, path: Path): string {
    const faults: string[] = [];
    const expanded = text.replaceAll(/\$\{([^}]*)\}?/g, (whole, name: string) => {
      const value = env[name];
      if (!/^\$\{[A-Za-z_][A-Za-z0-9_]*\}$/.test(whole)) {
        faults.push('between the braces of a variable stands its name: letters, digits and _ only');
      } else if (!value) {
        faults.push(`the environment variable \`${name}\` is ${value === '' ? 'empty' : 'not set'}`);
      }
      return value || whole;
    });
    if (faults.length > 0) report(path, () => faults.join('; '));
    return expanded;
  }
}
