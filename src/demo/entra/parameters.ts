import { EntraError } from './entra-error.ts';

/** The parameters of an OAuth request, each at most once. */
export class Parameters {
  readonly #values: URLSearchParams;

  constructor(values: URLSearchParams) {
    const twice = [...values.keys()].find(name => values.getAll(name).length > 1);
    if (twice)
      throw new EntraError(9000411, `The request is not properly formatted. The parameter '${twice}' is duplicated.`);
    this.#values = values;
  }

  optional(name: string): string | undefined {
    return this.#values.get(name) || undefined;
  }

  required(name: string): string {
    const value = this.optional(name);
    if (!value) throw new EntraError(900144, `The request body must contain the following parameter: '${name}'.`);
    return value;
  }
}
