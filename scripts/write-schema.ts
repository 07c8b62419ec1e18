import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { customersJsonSchema } from '../src/customers/customers-schema.ts';

/** Writes config/customers.schema.json anew. A test fails when it is not what this writes. */
const file = join(import.meta.dirname, '../config/customers.schema.json');
writeFileSync(file, `${JSON.stringify(customersJsonSchema(), null, 2)}\n`);
