import { type Gap, toGaps } from './gap.ts';
import type { Read } from './ledger.ts';
import type { Place } from './place.ts';
import { CATALOG_FUNCTIONS, CATALOG_RELATIONS, OPEN_FUNCTIONS, OUR_LOGINS } from './walls.ts';

/** Inside one customer's database, as the owner; `places` are all that the registry knows in it, wanted or not. */
export async function findDatabaseGaps(read: Read, places: readonly Place[]): Promise<Gap[]> {
  const facts = [places, OPEN_FUNCTIONS, CATALOG_RELATIONS, CATALOG_FUNCTIONS].map(fact => JSON.stringify(fact));
  return toGaps(await read(DATABASE_GAPS, [...facts, OUR_LOGINS]));
}

// Private

/** $1: the places; $2: OPEN_FUNCTIONS; $3, $4: what frame_catalog may read and call; $5: OUR_LOGINS. */
const DATABASE_GAPS = `
with login as (
  select schema, mode, mode || '_' || "roleId" as role
  from json_to_recordset($1::json) as p(schema text, "roleId" text), unnest(array['own', 'rw', 'ro']) as mode
), usage as (
  select schema, role, privilege from login
  join (values ('own', 'USAGE'), ('own', 'CREATE'), ('rw', 'USAGE'), ('ro', 'USAGE')) as r(mode, privilege) using (mode)
), usage_now as (
  select nspname::text as schema, rolname::text as role, privilege_type as privilege
  from pg_namespace, aclexplode(nspacl) join pg_roles on pg_roles.oid = grantee
), default_right as (
  select schema, owner.role as owner, login.role, kind, privilege
  from login join login owner using (schema) join (values
    ('rw', 'r', 'SELECT'), ('rw', 'r', 'INSERT'), ('rw', 'r', 'UPDATE'), ('rw', 'r', 'DELETE'),
    ('rw', 'S', 'SELECT'), ('rw', 'S', 'USAGE'), ('ro', 'r', 'SELECT')) as r(mode, kind, privilege) on login.mode = r.mode
  where owner.mode = 'own'
), default_right_now as (
  select nspname::text, owner.rolname::text, role.rolname::text, defaclobjtype::text, privilege_type
  from pg_default_acl join pg_namespace on pg_namespace.oid = defaclnamespace join pg_roles owner on owner.oid = defaclrole,
    aclexplode(defaclacl) join pg_roles role on role.oid = grantee
), incomplete as (
  select schema from (table usage except table usage_now) as lacking
  union
  select schema from (table default_right except table default_right_now) as lacking
), sealed as (
  select c.oid, nspname as schema, relname as name, login.role, array_agg(attname) filter (where open) as open_columns,
    bool_or(not open and has_column_privilege(login.role, c.oid, attnum, 'select')) as is_readable
  from pg_class c join pg_namespace n on n.oid = relnamespace
  join login on login.schema = nspname and login.mode = 'ro'
  cross join lateral (
    select attname, attnum, attname !~ '^_(bidx|dropped|sealed|opened)_'
      and coalesce(col_description(c.oid, attnum) !~ '(^|\\n)\\[pii \\w+ \\w+ [0-9a-f-]{36} [0-9a-f-]{36}\\]$', true) as open
    from pg_attribute where attrelid = c.oid and attnum > 0 and not attisdropped
  ) as a
  where relkind = 'r' and exists (select from pg_roles where rolname = login.role)
    and exists (select from pg_attribute where attrelid = c.oid and starts_with(attname, '_bidx_') and not attisdropped)
  group by c.oid, nspname, relname, login.role
), needed as (
  select unnest(array[oprcode, oprrest, oprjoin]::oid[]) as oid from pg_operator
  union select castfunc from pg_cast
  union select unnest(array[typinput, typoutput, typreceive, typsend, typmodin, typmodout]::oid[]) from pg_type
  union select unnest(array[aggtransfn, aggfinalfn, aggcombinefn, aggmtransfn, aggminvtransfn, aggmfinalfn]::oid[])
    from pg_aggregate
  union select amproc from pg_amproc
), catalog_login as (
  select oid from pg_roles where rolname = 'frame_catalog'
)
select thing, lack, mend from (
  select 1 as step, 'schema public' as thing, 'should not be there' as lack, 'drop schema public' as mend
  from pg_namespace where nspname = 'public'
  union all
  select 2, 'schema ' || nspname, 'is open to everyone', format('revoke all on schema %I from public', nspname)
  from pg_namespace where nspname not in ('pg_catalog', 'public') and has_schema_privilege('public', oid, 'usage, create')
  union all
  select 3, 'language ' || lanname, 'is open to everyone', format('revoke usage on language %I from public', lanname)
  from pg_language where lanpltrusted and has_language_privilege('public', oid, 'usage')
  union all
  select 4, 'pg_catalog', format('lets everyone call functions that should be closed (%s, such as %s)', count(*), min(name)),
    format('revoke execute on routine %s from public', string_agg(name, ', '))
  from (
    select oid::regprocedure::text as name from pg_proc
    where pronamespace = 'pg_catalog'::regnamespace and provolatile <> 'i' and prokind <> 'a'
      and oid not in (table needed) and proname not in (select json_array_elements_text($2::json)) and has_function_privilege('public', oid, 'execute')
  ) as open having count(*) > 0
  union all
  select 4, 'pg_catalog', format('does not let everyone call %s', string_agg(name, ', ')),
    format('grant execute on routine %s to public', string_agg(name, ', '))
  from (
    select oid::regprocedure::text as name from pg_proc
    where pronamespace = 'pg_catalog'::regnamespace and proname in (select json_array_elements_text($2::json))
      and not has_function_privilege('public', oid, 'execute')
  ) as closed having count(*) > 0
  union all
  select 5, 'pg_catalog', format('lets everyone use relations that should be closed (%s, such as %s)', count(*), min(name)),
    format('revoke all on %s from public', string_agg(name, ', '))
  from (
    select format('%I.%I', nspname, relname) as name from pg_class join pg_namespace on pg_namespace.oid = relnamespace
    where nspname in ('pg_catalog', 'information_schema') and relkind in ('r', 'v', 'm', 'f', 'p')
      and (has_table_privilege('public', pg_class.oid, 'select, insert, update, delete, truncate, references, trigger')
        or has_any_column_privilege('public', pg_class.oid, 'select, insert, update, references'))
  ) as open having count(*) > 0
  union all
  select 6, 'database ' || current_database(), format('lets everyone use new %s', what),
    format('alter default privileges revoke all on %s from public', what)
  from (values ('f', 'functions'), ('T', 'types')) as w(kind, what)
  where not exists (
    select from pg_default_acl where defaclrole = current_user::regrole and defaclnamespace = 0 and defaclobjtype::text = kind
      and not exists (select from aclexplode(defaclacl) where grantee = 0))
  union all
  select 7, 'login frame_catalog', format('may not read %s of pg_catalog', string_agg(relname, ', ')),
    format('grant select on %s to frame_catalog', string_agg(oid::regclass::text, ', '))
  from pg_class where relnamespace = 'pg_catalog'::regnamespace and relname in (select json_array_elements_text($3::json))
    and not exists (select from aclexplode(relacl) where grantee = (table catalog_login)) having count(*) > 0
  union all
  select 8, 'login frame_catalog', format('may not call %s of pg_catalog', string_agg(proname, ', ')),
    format('grant execute on function %s to frame_catalog', string_agg(oid::regprocedure::text, ', '))
  from pg_proc where pronamespace = 'pg_catalog'::regnamespace and proname in (select json_array_elements_text($4::json))
    and not exists (select from aclexplode(proacl) where grantee = (table catalog_login)) having count(*) > 0
  union all
  select 9, 'schema ' || schema, format('gives %s to %s', lower(privilege), role),
    format('revoke %s on schema %I from %I', privilege, schema, role)
  from (table usage_now except table usage) as wrong
  where role ~ $5 and (schema, role, privilege) <> ('frame', 'frame_catalog', 'USAGE')
  union all
  select 10, 'schema ' || schema, 'is missing or lacks rights of its logins', format('
    create schema if not exists %1$I;
    grant usage, create on schema %1$I to %2$I;
    grant usage on schema %1$I to %3$I, %4$I;
    alter default privileges for role %2$I in schema %1$I grant select, insert, update, delete on tables to %3$I;
    alter default privileges for role %2$I in schema %1$I grant select, usage on sequences to %3$I;
    alter default privileges for role %2$I in schema %1$I grant select on tables to %4$I',
    schema, own.role, rw.role, ro.role)
  from incomplete join login own using (schema) join login rw using (schema) join login ro using (schema)
  where own.mode = 'own' and rw.mode = 'rw' and ro.mode = 'ro'
  union all
  select 11, format('table %s.%s', schema, name), 'lets the login that runs what members write read sealed columns',
    format('revoke all on %1$I.%2$I from public, %3$I; grant select (%4$s) on %1$I.%2$I to %3$I', schema, name, role,
      (select string_agg(quote_ident(column_name), ', ') from unnest(open_columns) as column_name))
  from sealed where is_readable
) as gap order by step, thing`;
