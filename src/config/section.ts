import { z } from 'zod';

/** How the files of numbers are written: sections that may be left out, as a whole or in part, and `snake_case` keys. */
export function section<T extends z.ZodRawShape>(shape: T) {
  return z.strictObject(shape).prefault({} as z.input<z.ZodObject<T>>);
}

export function whole(byDefault: number, least: number, most = Number.MAX_SAFE_INTEGER) {
  return z.int().min(least).max(most).default(byDefault);
}

type CamelCase<Name extends string> = Name extends `${infer Word}_${infer Rest}`
  ? `${Word}${Capitalize<CamelCase<Rest>>}`
  : Name;

/** `max_rows` in the file is `maxRows` in the code. */
export type Camelled<T> = T extends object ? { [Name in keyof T as CamelCase<Name & string>]: Camelled<T[Name]> } : T;

export function toCamel<T extends object>(section: T): Camelled<T> {
  const entries = Object.entries(section).map(([name, value]) => [
    name.replaceAll(/_(.)/g, (_, letter: string) => letter.toUpperCase()),
    typeof value === 'object' ? toCamel(value) : value,
  ]);
  return Object.fromEntries(entries) as Camelled<T>;
}
