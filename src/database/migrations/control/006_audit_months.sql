-- The audit log by months, so that old ones can be archived, and the memory of how far the signed checkpoints went.
-- No row is moved or hashed anew: all that is there becomes the month in which this runs. To spread a million rows over
-- their months would hold up every call for half a minute; this takes about a second.
lock table audit.head, audit.log in access exclusive mode;

-- UTC: the same for everybody, whatever the zone of the server.
create function audit.this_month() returns date
language sql volatile set search_path = pg_catalog, pg_temp
as $$ select date_trunc('month', clock_timestamp() at time zone 'UTC')::date $$;

do $$
declare
  month date := audit.this_month();
  part text := to_char(month, '"log_"YYYY_MM');
  position bigint := (select last_value from audit.log_position_seq);
begin
  -- Before Postgres 17 a partitioned table has no identity column.
  alter table audit.log alter column position drop identity;
  create sequence audit.log_position_seq;
  perform setval('audit.log_position_seq', position);
  execute format('alter table audit.log rename to %I', part);
  execute format('alter table audit.%I add column month date not null default %L', part, month);
  execute format('revoke all on audit.%I from frame_audit', part);

  -- Keys and indexes belong to the partitions: (chain, seq) and id are unique in each, and append() cares for the rest.
  execute format('create table audit.log (like audit.%I) partition by list (month)', part);
  execute format('alter table audit.log attach partition audit.%I for values in (%L)', part, month);
  alter table audit.log
    alter column position set default nextval('audit.log_position_seq'),
    alter column month set default audit.this_month();

  -- The month of the last record of the chain. It never goes back, whatever the clock does, so that each chain crosses
  -- the months in the order of its records.
  execute format('alter table audit.head add column month date not null default %L', month);
  alter table audit.head alter column month set default audit.this_month();
end $$;

create trigger append_only before update or delete or truncate on audit.log
  for each statement execute function audit.refuse();
alter table audit.log enable always trigger append_only;

-- What tells two calls apart that came under one request id of the sender's. Null: begun by a release that had none.
alter table audit.open_intent add column call_id uuid;

-- One row. A checkpoint file that was put back, cut or lost is behind it.
create table audit.last_checkpoint (
  only_row boolean primary key default true check (only_row),
  number bigint not null,
  hash bytea not null
);

-- Attached after it was made, because that holds up nobody who appends. The lock is the one that attaching takes; what
-- another made meanwhile is seen behind a lock on a table, and not behind an advisory one.
create function audit.add_month(month date) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  part text := to_char(month, '"log_"YYYY_MM');
begin
  if to_regclass('audit.' || part) is not null then return; end if;
  lock table audit.log in share update exclusive mode;
  if to_regclass('audit.' || part) is not null then return; end if;
  execute format('create table audit.%I (like audit.log including defaults, primary key (chain, seq), unique (id))', part);
  execute format('create index on audit.%I (customer, at, position)', part);
  execute format('create trigger append_only before update or delete or truncate on audit.%I
    for each statement execute function audit.refuse()', part);
  execute format('alter table audit.%I enable always trigger append_only', part);
  execute format('alter table audit.log attach partition audit.%I for values in (%L)', part, month);
end $$;

-- This month and the next, for whoever runs, ahead of time.
create function audit.make_months() returns void
language sql security definer set search_path = pg_catalog, pg_temp as $$
  select audit.add_month(audit.this_month()), audit.add_month((audit.this_month() + interval '1 month')::date)
$$;

-- After it nothing is appended to any month before this one, not even when the clock goes back. The lock is on the table,
-- because no lock on rows sees the head of a chain that an append has begun and not yet committed. Exclusive, so that it
-- also waits for those who have locked a head and not yet changed it: they go first, and nobody waits in a circle.
create function audit.close_months() returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  this_month date := audit.this_month();
begin
  lock table audit.head in exclusive mode;
  update audit.head set month = this_month where month < this_month;
  perform audit.add_month(this_month);
end $$;

create function audit.note_checkpoint(number bigint, hash bytea) returns void
language sql security definer set search_path = pg_catalog, pg_temp as $$
  insert into audit.last_checkpoint values (true, $1, $2)
  on conflict (only_row) do update set number = $1, hash = $2 where last_checkpoint.number < $1
$$;

-- As before, and by months. All heads are locked before anything is made or looked for: in their order, so that two slots
-- never wait for each other, and so that whoever repeats an append sees what became of the first. A new chain asks for the
-- month again, which may have been closed while it waited. A plan is kept from when the month was empty, so the planner is
-- told that it will not stay so.
create or replace function audit.append(records json) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
  this_month date := audit.this_month();
  since date := this_month;
  entered date[] := '{}';
  name text;
  item record;
  tip audit.head;
  fresh audit.log[] := '{}';
begin
  for name in select distinct chain from json_to_recordset(records) as r (chain text) order by chain loop
    select * into tip from audit.head where chain = name for update;
    if not found then
      insert into audit.head (chain, seq, hash, month)
        select name, 0, '', greatest(audit.this_month(), max(month)) from audit.head on conflict do nothing;
      select * into strict tip from audit.head where chain = name for update;
      entered := entered || tip.month;
    elsif tip.month < this_month then
      update audit.head set month = this_month where chain = name;
      entered := entered || this_month;
    end if;
    since := least(since, tip.month);
  end loop;
  perform audit.add_month(month) from unnest(entered) as month;
  tip := null;

  for item in
    select * from rows from (json_to_recordset(records) as (
      chain text, id uuid, at bigint, customer text, entity text, request_id text,
      actor text, tool text, phase text, outcome text, call_id uuid, record text
    )) with ordinality as r
    -- An append is repeated at once or never, so its first attempt lies in this month or in the one before.
    where not exists (select from audit.log where log.id = r.id and log.month >= since - interval '1 month')
    order by chain, ordinality
  loop
    if tip.chain is distinct from item.chain then
      update audit.head set seq = tip.seq, hash = tip.hash where chain = tip.chain;
      select * into strict tip from audit.head where chain = item.chain;
    end if;

    if item.phase = 'outcome' then
      delete from audit.open_intent where chain = item.chain and request_id = item.request_id and seq =
        (select min(seq) from audit.open_intent where chain = item.chain and request_id = item.request_id
          and call_id is not distinct from item.call_id);
      continue when item.outcome = 'unknown' and not found;
    end if;

    tip.seq := tip.seq + 1;
    tip.hash := sha256(audit.framed('frame-audit/1') || audit.framed(convert_to(item.chain, 'UTF8'))
      || audit.framed(int8send(tip.seq)) || audit.framed(tip.hash) || audit.framed(convert_to(item.record, 'UTF8')));
    fresh := fresh || row(item.chain, tip.seq, nextval('audit.log_position_seq'), item.id, item.at, item.customer,
      item.entity, item.request_id, item.actor, item.tool, item.phase, item.outcome, item.record, tip.hash,
      tip.month)::audit.log;
    if item.phase = 'intent' then
      insert into audit.open_intent values (item.chain, item.request_id, tip.seq, item.call_id);
    end if;
  end loop;
  update audit.head set seq = tip.seq, hash = tip.hash where chain = tip.chain;
  -- In one statement: which partition a row goes to costs little when it is asked once.
  insert into audit.log select * from unnest(fresh);
end $$;

alter table audit.log owner to frame_audit_owner;
alter table audit.last_checkpoint owner to frame_audit_owner;
alter sequence audit.log_position_seq owner to frame_audit_owner;
alter function audit.this_month() owner to frame_audit_owner;
alter function audit.add_month(date) owner to frame_audit_owner;
alter function audit.make_months() owner to frame_audit_owner;
alter function audit.close_months() owner to frame_audit_owner;
alter function audit.note_checkpoint(bigint, bytea) owner to frame_audit_owner;

revoke all on all functions in schema audit from public;
grant select on audit.log, audit.last_checkpoint to frame_audit;
grant execute on function audit.this_month(), audit.make_months(), audit.close_months(),
  audit.note_checkpoint(bigint, bytea) to frame_audit;
