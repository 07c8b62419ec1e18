-- One row: tells a wrong master key from the right one without revealing either.
create table :schema.installation (
  only_row boolean primary key default true check (only_row),
  key_check text not null,
  created_at timestamptz not null default now()
);

-- Where the data of each (entity, environment) lives. Rows are added, never changed: role_id stands in role names.
create table :schema.environments (
  customer text not null,
  entity text not null,
  environment text not null,
  database_name text not null,
  schema_name text not null,
  role_id text not null unique default left(replace(gen_random_uuid()::text, '-', ''), 12),
  created_at timestamptz not null default now(),
  primary key (customer, entity, environment),
  unique (database_name, schema_name),
  check (role_id ~ '^[0-9a-f]{12}$')
);
grant select on :schema.environments to frame_control;
