import type { Customer } from '../customers/customer.ts';
import { type Gap, toGaps } from './gap.ts';
import type { Read } from './ledger.ts';
import { CONTROL_DATABASE, databaseOf, type Place } from './place.ts';
import { quoteName, quoteText } from './quote.ts';
import { isVerifierOf, scramVerifier } from './scram.ts';
import { CONNECTION_LIMITS, loginsFor, OUR_LOGINS, SETTINGS } from './walls.ts';

/** Logins, their settings and memberships, and who may connect where; as the owner, on any database. */
export async function findServerGaps(
  read: Read,
  customers: readonly Customer[],
  places: readonly Place[],
  passwordOf: (role: string) => string,
): Promise<Gap[]> {
  const logins = loginsFor(customers, places);
  const databases = [CONTROL_DATABASE, ...customers.map(({ id }) => databaseOf(id))];
  const facts = [logins, databases, SETTINGS, CONNECTION_LIMITS].map(fact => JSON.stringify(fact));
  const gaps = toGaps(await read(SERVER_GAPS, [...facts, OUR_LOGINS]));
  const roles = [...new Set(logins.map(({ role }) => role))];
  return [...gaps, ...(await findPasswordGaps(read, roles, passwordOf))];
}

// Private

async function findPasswordGaps(
  read: Read,
  roles: readonly string[],
  passwordOf: (role: string) => string,
): Promise<Gap[]> {
  const { rows } = await read(VERIFIERS, [JSON.stringify(roles)]);
  const verifiers = new Map(rows.map(([role, verifier]) => [role, verifier]));
  return roles
    .map(role => ({ role, password: passwordOf(role) }))
    .filter(({ role, password }) => !isVerifierOf(password, verifiers.get(role)))
    .map(({ role, password }) => ({
      thing: `login ${role}`,
      lack: 'has not the password that the master key gives',
      mend: `alter role ${quoteName(role)} password ${quoteText(scramVerifier(password))}`,
    }));
}

const VERIFIERS = `
select rolname, rolpassword from pg_authid where rolname in (select json_array_elements_text($1::json))`;

/** $1: the logins that should be; $2: our databases; $3, $4: settings and limits by kind of login; $5: OUR_LOGINS. */
const SERVER_GAPS = `
with login as (
  select distinct role, kind, schema, ($4::json ->> kind)::int as connections
  from json_to_recordset($1::json) as l(role text, kind text, schema text)
), door as (
  select role, database, 'CONNECT' from json_to_recordset($1::json) as l(role text, database text)
), setting as (
  select role, name, value from login, json_each_text($3::json -> kind) as s(name, value)
  where name in (select name from pg_settings)
  union all
  select role, 'search_path', format('%I, pg_temp', schema) from login
), setting_now as (
  select rolname::text, split_part(entry, '=', 1), substr(entry, strpos(entry, '=') + 1)
  from pg_db_role_setting join pg_roles on pg_roles.oid = setrole, unnest(setconfig) as entry
  where setdatabase = 0 and rolname in (select role from login)
), granted as (
  select rolname::text as role, datname::text as database, privilege_type as privilege, grantee = 0 as to_everyone,
    datname not in ('postgres', 'template1') as is_ours
  from pg_database, aclexplode(coalesce(datacl, acldefault('d', datdba))) left join pg_roles on pg_roles.oid = grantee
  where datname in ('postgres', 'template1') or datname in (select json_array_elements_text($2::json))
)
select thing, lack, mend from (
  select 1 as step, 'login ' || role as thing,
    case when rolname is null then 'is missing' else 'has other rights or limits than it should' end as lack,
    format('%s role %I login noinherit nosuperuser nocreatedb nocreaterole noreplication nobypassrls connection limit %s',
      case when rolname is null then 'create' else 'alter' end, role, connections) as mend
  from login left join pg_roles on rolname = role
  where (rolcanlogin and rolconnlimit = connections and not rolinherit and not rolsuper
    and not rolcreatedb and not rolcreaterole and not rolreplication and not rolbypassrls) is not true
  union all
  select 2, 'login ' || role, 'has other settings than it should: ' || string_agg(name, ', ' order by name),
    string_agg(format('alter role %I set %I to %s', role, name,
      case name when 'search_path' then value else quote_literal(value) end), '; ')
  from (table setting except table setting_now) as lacking group by role
  union all
  select 2, 'login ' || rolname, 'has settings in one database that come before its own',
    format('alter role %I in database %I reset all', rolname, datname)
  from pg_db_role_setting join pg_roles on pg_roles.oid = setrole join pg_database on pg_database.oid = setdatabase
  where rolname in (select role from login)
  union all
  select 3, 'login ' || member.rolname, 'is a member of ' || role.rolname,
    format('revoke %I from %I granted by %I', role.rolname, member.rolname, pg_get_userbyid(grantor))
  from pg_auth_members join pg_roles role on role.oid = roleid join pg_roles member on member.oid = pg_auth_members.member
  where role.rolname ~ $5 or member.rolname ~ $5
  union all
  select 4, 'database ' || database, 'is open to everyone',
    format('revoke %s on database %I from public', string_agg(privilege, ', '), database)
  from granted
  where to_everyone and (is_ours or privilege = 'CONNECT') group by database
  union all
  select 5, 'database ' || database, format('gives %s to %s', lower(privilege), role),
    format('revoke %s on database %I from %I', privilege, database, role)
  from (select role, database, privilege from granted where is_ours and role ~ $5 except table door) as wrong
  union all
  select 6, 'database ' || database, format('does not let %s of its logins in, such as %s', count(*), min(role)),
    format('grant connect on database %I to %s', database, string_agg(quote_ident(role), ', '))
  from (table door except select role, database, privilege from granted) as lacking
  where database in (select datname from pg_database) group by database
) as gap order by step, thing`;
