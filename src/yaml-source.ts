import {
  type Document,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  visit,
} from 'yaml';

/** One YAML document as a plain value, and where each part of it stands. It knows no schema; see yaml-file.ts. */
export type Path = readonly (string | number)[];

export interface Position {
  line: number;
  column: number;
}

export interface Fault extends Position {
  sentence: string;
}

export interface YamlSource {
  value: unknown;
  has(path: Path): boolean;
  /** Of the value; of its key when asked for or when the value is left empty; of the nearest parent when missing. */
  positionOf(path: Path, at?: 'key'): Position;
  /** The scalar (or key) as written; the name of anything else. */
  written(path: Path, at?: 'key'): string;
}

/** No `source`: the text cannot be used at all. With one, the faults can only be duplicate keys. */
export function openYaml(text: string): { source?: YamlSource; faults: Fault[] } {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, logLevel: 'error' });
  const positionAt = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  const positionOfNode = (node: Node | undefined) => positionAt(node?.range?.[0] ?? 0);

  const duplicates = document.errors.filter(({ code }) => code === 'DUPLICATE_KEY');
  // After the first of these the parser guesses, and the rest of its errors are about its guesses.
  const broken = document.errors.filter(({ code }) => code !== 'DUPLICATE_KEY').slice(0, 1);
  const faults = [...duplicates, ...broken, ...document.warnings].map(({ code, message, pos }) => ({
    ...positionAt(pos[0]),
    sentence: explain(code, message, text, pos[0]),
  }));
  if (broken.length > 0 || document.warnings.length > 0) return { faults };

  const odd = findOddNodes(document).map(({ node, sentence }) => ({ ...positionOfNode(node), sentence }));
  if (odd.length > 0) return { faults: [...faults, ...odd] };

  const plain = toPlain(document);
  if ('sentence' in plain) return { faults: [{ line: 1, column: 1, sentence: plain.sentence }] };

  return {
    faults,
    source: {
      value: plain.value,
      has: path => walk(document, path).length > path.length,
      positionOf(path, at) {
        const steps = walk(document, path);
        const { key, value } = steps.at(-1) ?? {};
        const standsThere = steps.length > path.length && !isLeftEmpty(value);
        return positionOfNode(at === undefined && standsThere ? value : (key ?? value));
      },
      written(path, at) {
        const { key, value } = walk(document, path)[path.length] ?? {};
        const node = at === 'key' ? key : value;
        if (isScalar(node) && node.source) return node.source;
        return path.findLast(step => typeof step === 'string')?.toString() ?? 'the file';
      },
    },
  };
}

// Private

interface Step {
  key?: Node;
  value?: Node;
}

/** The nodes from the root to `path`, as far as they exist; aliases are followed. */
function walk(document: Document, path: Path): Step[] {
  const steps: Step[] = [{ value: document.contents ?? undefined }];
  for (const name of path) {
    const parent = steps.at(-1)?.value;
    const step = childOf(parent, name);
    if (!step) break;
    steps.push(isAlias(step.value) ? { ...step, value: step.value.resolve(document) } : step);
  }
  return steps;
}

function childOf(parent: Node | undefined, name: string | number): Step | undefined {
  if (isMap(parent)) {
    const pair = parent.items.findLast(({ key }) => isScalar(key) && String(key.value) === String(name));
    return pair && { key: nodeOf(pair.key), value: nodeOf(pair.value) };
  }
  const item = isSeq(parent) ? parent.items[Number(name)] : undefined;
  return isNode(item) ? { value: item } : undefined;
}

function nodeOf(value: unknown): Node | undefined {
  return isNode(value) ? value : undefined;
}

function isLeftEmpty(value: Node | undefined): boolean {
  return value === undefined || (isScalar(value) && value.value === null && !value.source);
}

/** What the YAML library accepts but no configuration needs, and what would never end. */
function findOddNodes(document: Document): { node: Node | undefined; sentence: string }[] {
  const odd: { node: Node | undefined; sentence: string }[] = [];
  visit(document, {
    Pair(_, { key, value }) {
      // `__proto__` would vanish in the schema, which reads plain objects.
      if (isScalar(key) && key.value !== null && key.value !== '__proto__') return;
      odd.push({ node: nodeOf(key) ?? nodeOf(value), sentence: 'a key must be a plain word' });
    },
    Alias(_, alias) {
      const target = alias.resolve(document);
      const noAnchor = `there is no anchor \`&${alias.source}\` above; text that begins with * needs quotes`;
      if (!target) odd.push({ node: alias, sentence: noAnchor });
      const isInside = (target?.range?.[1] ?? 0) > (alias.range?.[0] ?? 0);
      if (isInside) odd.push({ node: alias, sentence: 'an alias cannot stand inside its own anchor' });
    },
  });
  return odd;
}

function toPlain(document: Document): { value: unknown } | { sentence: string } {
  try {
    const value: unknown = document.toJS();
    return value === null ? { sentence: 'the file is empty' } : { value };
  } catch (error) {
    // Aliases of aliases grow without end; the library counts them and gives up.
    if (error instanceof ReferenceError) return { sentence: 'there are too many aliases' };
    throw error;
  }
}

function explain(code: string, message: string, text: string, offset: number): string {
  const rest = text.slice(offset);
  if (code === 'DUPLICATE_KEY') return `the key \`${/^[^\s:,}]*/.exec(rest)?.[0]}\` stands here a second time`;
  if (code === 'MULTIPLE_DOCS') return 'a second document begins here; write one only';
  const isVariable = rest.startsWith('{') && text[offset - 1] === '$';
  return `this is not valid YAML: ${isVariable ? 'a variable between braces or brackets needs quotes' : message}`;
}
