-- What Frame keeps in every schema. Everything here belongs to the owner connection, so that none of the entity's own
-- logins can alter it, drop it or lend it to others. Names start with _, which no table of a member may.

-- Version 7 of RFC 9562: ids in the order they were made, so that new rows stay together in the index. The bodies are
-- bound to their functions here and now; no search_path changes what they call.
do $$
begin
  if current_setting('server_version_num')::int >= 180000 then
    create function :schema._uuid7() returns uuid language sql volatile parallel safe
      return uuidv7();
  else
    -- A version 4 with the time in its first 48 bits; bits 52 and 53 turn the version from 4 into 7.
    create function :schema._uuid7() returns uuid language sql volatile parallel safe
      return encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid())
        placing substring(int8send((extract(epoch from clock_timestamp()) * 1000)::bigint) from 3) from 1 for 6),
        52, 1), 53, 1), 'hex')::uuid;
  end if;
end $$;
revoke execute on function :schema._uuid7() from public;
grant execute on function :schema._uuid7() to :own, :rw;

-- Keeps the columns that callers may not write, whoever they are and whatever they send.
create function :schema._touch() returns trigger language plpgsql as $$
begin
  if tg_op = 'INSERT' then
    new.created_at := now();
  else
    new.id := old.id;
    new.created_at := old.created_at;
    new.created_by := old.created_by;
  end if;
  new.updated_at := now();
  return new;
end $$;
revoke execute on function :schema._touch() from public;
grant execute on function :schema._touch() to :own;

-- The history of the schema. It only grows.
create table :schema._versions (
  version integer primary key,
  at timestamptz not null default now(),
  author text not null,
  summary text not null,
  statements jsonb not null,
  inverse jsonb,
  plan_id uuid
);
grant select, insert on :schema._versions to :own;

create table :schema._plans (
  id uuid primary key,
  caller text not null,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  used_at timestamptz,
  body jsonb not null
);
grant select, insert, update, delete on :schema._plans to :own;

-- Tables and columns that were renamed away and can still be brought back.
create table :schema._dropped (
  kind text not null check (kind in ('table', 'column')),
  table_name text not null,
  column_name text,
  hidden_name text not null,
  dropped_at timestamptz not null default now(),
  version integer not null,
  details jsonb,
  primary key (table_name, hidden_name)
);
grant select, insert, update, delete on :schema._dropped to :own;

-- Answers to writes that carried an idempotency key; `own` clears old ones away.
create table :schema._requests (
  key text not null,
  caller text not null,
  digest text not null,
  at timestamptz not null default now(),
  answer jsonb,
  primary key (caller, key)
);
grant select, insert on :schema._requests to :rw;
grant select, delete on :schema._requests to :own;
