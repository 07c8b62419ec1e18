-- The audit log: append only, one hash chain per customer and entity ('-' for calls without an entity).
-- The gateway's login frame_audit may read it and call audit.append(), nothing else. A superuser can still do anything:
-- prevention ends there, detection (`audit verify`) does not.
do $$
begin
  if not exists (select from pg_roles where rolname = 'frame_audit') then
    raise exception 'The role frame_audit is missing: the logins must be created before the migrations run.';
  end if;
  if not exists (select from pg_roles where rolname = 'frame_audit_owner') then
    create role frame_audit_owner nologin noinherit;
  end if;
end $$;

create schema audit authorization frame_audit_owner;

-- The last record of each chain; its row lock puts all slots in one line.
-- Signed checkpoints will stand beside it, in a table of their own (chain, seq, hash, at, signature): they show what a
-- head cannot, a tail that was cut off together with its head and a chain that was hashed anew as a whole.
create table audit.head (
  chain text primary key,
  seq bigint not null,
  hash bytea not null
) with (fillfactor = 50);

-- `record` is the truth, hashed as it stands here; the columns before it repeat parts of it for searching.
-- Only append() writes, under the lock of the head, so (chain, seq) and id would stay unique in a partitioned log too.
create table audit.log (
  chain text not null,
  seq bigint not null,
  position bigint generated always as identity,
  id uuid not null unique,
  at bigint not null,
  customer text not null,
  entity text,
  request_id text not null,
  actor text not null,
  tool text not null,
  phase text not null,
  outcome text,
  record text not null,
  hash bytea not null,
  primary key (chain, seq)
);
create index log_search on audit.log (customer, at, position);

-- Intents whose outcome has not come yet: a few rows at any time.
create table audit.open_intent (
  chain text not null,
  request_id text not null,
  seq bigint not null,
  primary key (chain, request_id, seq)
);

create function audit.framed(part bytea) returns bytea
language sql immutable as $$ select int4send(octet_length(part)) || part $$;

-- Appends records in their order, each to its chain, in one commit. Chains are locked in one order everywhere, so two
-- slots never wait for each other. A record whose id is there already is skipped: an append whose answer was lost may
-- be repeated. The outcome `unknown` is skipped when its intent is closed: there is nothing left to close.
create function audit.append(records json) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  item record;
  tip audit.head;
begin
  for item in
    select * from rows from (json_to_recordset(records) as (
      chain text, id uuid, at bigint, customer text, entity text, request_id text,
      actor text, tool text, phase text, outcome text, record text
    )) with ordinality order by chain, ordinality
  loop
    if tip.chain is distinct from item.chain then
      update audit.head set seq = tip.seq, hash = tip.hash where chain = tip.chain;
      insert into audit.head values (item.chain, 0, '') on conflict do nothing;
      select * into strict tip from audit.head where chain = item.chain for update;
    end if;
    continue when exists (select from audit.log where id = item.id);

    if item.phase = 'outcome' then
      delete from audit.open_intent where chain = item.chain and request_id = item.request_id and seq =
        (select min(seq) from audit.open_intent where chain = item.chain and request_id = item.request_id);
      continue when item.outcome = 'unknown' and not found;
    end if;

    tip.seq := tip.seq + 1;
    tip.hash := sha256(audit.framed('frame-audit/1') || audit.framed(convert_to(item.chain, 'UTF8'))
      || audit.framed(int8send(tip.seq)) || audit.framed(tip.hash) || audit.framed(convert_to(item.record, 'UTF8')));
    insert into audit.log
      (chain, seq, id, at, customer, entity, request_id, actor, tool, phase, outcome, record, hash)
      values (item.chain, tip.seq, item.id, item.at, item.customer, item.entity, item.request_id, item.actor, item.tool,
        item.phase, item.outcome, item.record, tip.hash);
    if item.phase = 'intent' then
      insert into audit.open_intent values (item.chain, item.request_id, tip.seq);
    end if;
  end loop;
  update audit.head set seq = tip.seq, hash = tip.hash where chain = tip.chain;
end $$;

-- A tripwire, for the owner and for superusers too.
create function audit.refuse() returns trigger language plpgsql as $$
begin
  raise exception 'audit.% is append only', tg_table_name using errcode = 'insufficient_privilege';
end $$;
create trigger append_only before update or delete or truncate on audit.log
  for each statement execute function audit.refuse();
create trigger append_only before delete or truncate on audit.head
  for each statement execute function audit.refuse();
alter table audit.log enable always trigger append_only;
alter table audit.head enable always trigger append_only;

alter table audit.head owner to frame_audit_owner;
alter table audit.log owner to frame_audit_owner;
alter table audit.open_intent owner to frame_audit_owner;
alter function audit.framed(bytea) owner to frame_audit_owner;
alter function audit.append(json) owner to frame_audit_owner;
alter function audit.refuse() owner to frame_audit_owner;

revoke all on all functions in schema audit from public;
grant usage on schema audit to frame_audit;
grant select on all tables in schema audit to frame_audit;
grant execute on function audit.append(json) to frame_audit;
