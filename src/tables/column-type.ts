/** The ten types of columns that Frame makes, and what they are in Postgres. Values are checked in values.ts. */
export const COLUMN_TYPES = [
  'text',
  'integer',
  'bigint',
  'numeric',
  'boolean',
  'date',
  'timestamp',
  'json',
  'uuid',
  'reference',
] as const;

export type ColumnType = (typeof COLUMN_TYPES)[number];

/** The type's name in Postgres, spelled as `format_type` does. */
export function postgresTypeOf(type: ColumnType): string {
  return POSTGRES_TYPES[type];
}

/** Ours for a Postgres type; undefined for the types of tables made elsewhere, whose values are treated as text. */
export function columnTypeOf(postgresType: string, isReference: boolean): ColumnType | undefined {
  if (postgresType === 'uuid') return isReference ? 'reference' : 'uuid';
  return COLUMN_TYPES.find(type => POSTGRES_TYPES[type] === postgresType);
}

// Private

const POSTGRES_TYPES: Record<ColumnType, string> = {
  text: 'text',
  integer: 'integer',
  bigint: 'bigint',
  numeric: 'numeric',
  boolean: 'boolean',
  date: 'date',
  timestamp: 'timestamp with time zone',
  json: 'jsonb',
  uuid: 'uuid',
  reference: 'uuid',
};
