-- Personal data: sealed columns need nothing of the schema but two things.

-- The owner of the tables seals and unseals what rows hold, which changes nothing that anybody has said: updated_at stays
-- what the statement makes it. All other logins are kept from writing it, as before.
create or replace function :schema._touch() returns trigger language plpgsql as $$
begin
  if tg_op = 'INSERT' then
    new.created_at := now();
    new.updated_at := now();
  else
    new.id := old.id;
    new.created_at := old.created_at;
    new.created_by := old.created_by;
    if session_user not like 'own\_%' then
      new.updated_at := now();
    end if;
  end if;
  return new;
end $$;

-- How far the sealing of a column with a new key has come; it goes on from here after whatever stopped it.
create table :schema._resealing (
  column_id uuid primary key,
  to_kid bigint not null,
  last_id uuid not null,
  cells bigint not null,
  started_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  done_at timestamptz
);
grant select, insert, update, delete on :schema._resealing to :own;
