-- The keys that seal personal data, each wrapped by the key of its entity. That one lies in a file and in no database, so
-- that a dump of all databases opens nothing (docs/personal-data.md says what a backup may hold beside it).
create table :schema.data_keys (
  kid bigint primary key check (kid between 1 and 4294967295),
  customer text not null,
  entity text not null,
  environment text not null,
  -- cells: seals and opens values. index: finds equal ones again.
  purpose text not null check (purpose in ('cells', 'index')),
  -- current: seals. retiring: opens what is sealed anew right now. retired: opens what comes out of a backup.
  state text not null check (state in ('current', 'retiring', 'retired')),
  -- Tells a wrong key of an entity, and a wrong unwrapped key, from the right one, without revealing either.
  kek_id text not null,
  key_check text not null,
  wrapped text not null,
  -- Booked ahead in steps, so never less than were made.
  seals bigint not null default 0,
  created_at timestamptz not null default now(),
  state_since timestamptz not null default now(),
  foreign key (customer, entity, environment) references :schema.environments
);
create unique index on :schema.data_keys (customer, entity, environment, purpose) where state = 'current';
grant select, insert, update, delete on :schema.data_keys to frame_control;

-- Entities whose keys were destroyed. They never get new ones: who comes after them has another id.
create table :schema.shredded_entities (
  customer text not null,
  entity text not null,
  at timestamptz not null default now(),
  primary key (customer, entity)
);
grant select, insert on :schema.shredded_entities to frame_control;
