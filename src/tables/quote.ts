import { quoteName } from '../database/quote.ts';

/** `"schema"."name"`: statements never lean on search_path. */
export function quoteQualified(schema: string, name: string): string {
  return `${quoteName(schema)}.${quoteName(name)}`;
}

/** The text of a Postgres array, to be sent as one parameter: the statement stays the same for any number of values. */
export function arrayLiteral(values: readonly (string | null)[]): string {
  return `{${values.map(value => (value === null ? 'NULL' : `"${value.replace(/["\\]/g, '\\$&')}"`)).join(',')}}`;
}
