import type { Customer } from '../customers/customer.ts';
import {
  AUDIT_LOGIN,
  CONTROL_LOGIN,
  catalogLogin,
  databaseOf,
  type Login,
  loginOf,
  type Mode,
  type Place,
} from './place.ts';

/**
 * The walls between entities, as data: which logins there are, what they may do, and what is taken away from everyone.
 * server-gaps.ts and database-gaps.ts compare it with what stands, provision.ts mends, assert-walls.ts complains.
 */
export const MODES: readonly Mode[] = ['own', 'rw', 'ro'];

/** What kind of login it is: one of a place, or one of the gateway's own. */
export type LoginKind = Mode | 'control' | 'audit' | 'catalog';

export interface WantedLogin extends Login {
  kind: LoginKind;
  /** First of its search_path; pg_temp comes last, so that nothing temporary stands in front of a table. */
  schema: string;
}

/** The schema of our own in each of our databases: the ledger of migrations, and the registry in the control database. */
export const FRAME_SCHEMA = 'frame';

/** Every login that should exist for these places. frame_catalog is listed once per database. */
export function loginsFor(customers: readonly Customer[], places: readonly Place[]): WantedLogin[] {
  return [
    { ...CONTROL_LOGIN, kind: 'control', schema: FRAME_SCHEMA },
    { ...AUDIT_LOGIN, kind: 'audit', schema: 'audit' },
    ...customers.map(({ id }) => ({ ...catalogLogin(databaseOf(id)), kind: 'catalog' as const, schema: 'pg_catalog' })),
    ...places.flatMap(place => MODES.map(mode => ({ ...loginOf(place, mode), kind: mode, schema: place.schema }))),
  ];
}

/** Names of our logins, as a regular expression of Postgres. Other roles on the server are not ours to judge. */
export const OUR_LOGINS = '^((own|rw|ro)_[0-9a-f]{12}|frame_(control|audit|catalog))$';

/** Room for the pools of two slots, commands, and connections on their way out. -1: the pools are the only limit. */
export const CONNECTION_LIMITS: Record<LoginKind, number> = {
  own: 8,
  rw: 20,
  ro: 20,
  control: -1,
  audit: -1,
  catalog: -1,
};

/** Without the check of the connection a query runs on after its caller is gone. No values of rows in the server's log. */
const SETTINGS_OF_ALL = {
  client_connection_check_interval: '1s',
  idle_in_transaction_session_timeout: '10s',
  log_min_error_statement: 'panic',
  log_parameter_max_length: '0',
};

/** One statement of a member must not take the machine from the others. temp_file_limit stops sorts and recursions. */
const SETTINGS_OF_PLACES = {
  ...SETTINGS_OF_ALL,
  jit: 'off',
  lock_timeout: '3s',
  max_parallel_maintenance_workers: '0',
  max_parallel_workers_per_gather: '0',
  temp_file_limit: '64MB',
  work_mem: '8MB',
};

/**
 * What the server does not know is left out: transaction_timeout came with Postgres 17. `own` runs no statement that a
 * member wrote; it builds indexes and loads files, which takes disk and time.
 */
export const SETTINGS: Record<LoginKind, Record<string, string>> = {
  own: { ...SETTINGS_OF_PLACES, statement_timeout: '30s', temp_file_limit: '1GB' },
  rw: { ...SETTINGS_OF_PLACES, statement_timeout: '10s', transaction_timeout: '30s' },
  ro: {
    ...SETTINGS_OF_PLACES,
    statement_timeout: '5s',
    transaction_timeout: '10s',
    default_transaction_read_only: 'on',
  },
  control: { ...SETTINGS_OF_ALL, statement_timeout: '30s' },
  audit: { ...SETTINGS_OF_ALL, statement_timeout: '30s' },
  catalog: { ...SETTINGS_OF_ALL, statement_timeout: '5s', default_transaction_read_only: 'on' },
};

/**
 * The functions of pg_catalog that everyone may call although they are not immutable. All others that read or change
 * anything outside their arguments are closed (set_config, query_to_xml, ts_stat, lo_*, locks, sleep, files …), also
 * those of later versions of Postgres, except the ones behind operators, casts, types, aggregates and indexes.
 */
export const OPEN_FUNCTIONS = words(`
  age array_sample array_shuffle array_to_json array_to_string clock_timestamp concat concat_ws convert convert_from
  convert_to currval date_add date_part date_subtract date_trunc enum_first enum_last enum_range extract format
  gen_random_uuid generate_series json_build_array json_build_object json_populate_record json_populate_recordset
  json_to_record json_to_recordset json_to_tsvector jsonb_build_array jsonb_build_object jsonb_path_exists_tz
  jsonb_path_match_tz jsonb_path_query_array_tz jsonb_path_query_first_tz jsonb_path_query_tz jsonb_populate_record
  jsonb_populate_recordset jsonb_to_record jsonb_to_recordset jsonb_to_tsvector length make_timestamptz nextval now
  overlaps pg_column_size pg_typeof phraseto_tsquery plainto_tsquery quote_literal quote_nullable random
  random_normal row_to_json statement_timestamp timestamptz timezone to_char to_date to_json to_jsonb to_number
  to_timestamp to_tsquery to_tsvector transaction_timestamp ts_headline uuidv4 uuidv7 websearch_to_tsquery`);

/** What frame_catalog reads to describe tables. It sees names and definitions, never a row. */
export const CATALOG_RELATIONS = words(`
  pg_am pg_attrdef pg_attribute pg_class pg_collation pg_constraint pg_description pg_index pg_namespace pg_type`);

export const CATALOG_FUNCTIONS = words(`
  col_description format_type obj_description pg_get_constraintdef pg_get_expr pg_get_indexdef to_regclass`);

// Private

function words(text: string): string[] {
  return text.trim().split(/\s+/);
}
