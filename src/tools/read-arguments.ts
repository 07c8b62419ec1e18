import type { z } from 'zod';
import { didYouMean } from '../did-you-mean.ts';
import { FrameError } from '../errors.ts';
import type { Tool } from './tool.ts';

/** Throws `args/invalid` for anything but a JSON object. */
export function requireObject(args: unknown): Record<string, unknown> {
  if (typeof args === 'object' && args !== null && !Array.isArray(args)) return args as Record<string, unknown>;
  throw new FrameError('args/invalid', 'The arguments must be an object.');
}

/**
 * What a tool gets of the arguments; throws `args/invalid` with the first five things that are wrong. `placeNames`: what
 * this caller may say beside the tool's own arguments.
 */
export function readInput(tool: Tool, args: Record<string, unknown>, placeNames: readonly string[]): unknown {
  const parsed = tool.input.safeParse(args);
  if (parsed.success) return parsed.data;
  const known = [...placeNames, ...Object.keys((tool.input as { shape?: object }).shape ?? {})];
  const [first] = parsed.error.issues;
  throw new FrameError('args/invalid', parsed.error.issues.slice(0, 5).map(toSentence).join(' '), {
    hint: first && hintFor(first, known),
  });
}

// Private

function toSentence(issue: z.core.$ZodIssue): string {
  if (issue.code === 'unrecognized_keys') {
    const names = issue.keys.map(key => `\`${toPath([...issue.path, key.slice(0, 80)])}\``);
    return `There is no argument ${names.join(', ')}.`;
  }
  return `\`${toPath(issue.path) || 'arguments'}\`: ${issue.message}.`;
}

/** `changes[0].create_table.columns[2].type` */
function toPath(parts: readonly PropertyKey[]): string {
  const steps = parts.map(part => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`));
  return steps.join('').replace(/^\./, '');
}

function hintFor(issue: z.core.$ZodIssue, known: string[]): string | undefined {
  if (issue.code !== 'unrecognized_keys' || issue.path.length > 0) return undefined;
  const guess = didYouMean(issue.keys[0] ?? '', known);
  return guess ? `Did you mean \`${guess}\`?` : `Arguments are: ${known.join(', ') || 'none'}.`;
}
