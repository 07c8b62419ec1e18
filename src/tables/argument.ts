import { FrameError } from '../errors.ts';

/** What a tool's schema leaves open is checked where it is used; `path` is the place in the arguments. */
export function invalidArgument(path: string, sentence: string, hint?: string): FrameError {
  return new FrameError('args/invalid', `\`${path}\`: ${sentence}`, { hint });
}

export function requireList(value: unknown, path: string): unknown[] {
  if (Array.isArray(value)) return value;
  throw invalidArgument(path, 'this takes a list.');
}

export function requireObject(value: unknown, path: string): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
  throw invalidArgument(path, 'this takes an object.');
}
