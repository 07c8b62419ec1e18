-- Keys for scripts and agents. Only the SHA-256 digest of a key is kept, so that a dump of this database opens nothing.
create table :schema.api_keys (
  id text primary key check (id ~ '^[0-9A-Za-z]{10}$'),
  digest bytea not null,
  customer text not null,
  entity text not null,
  environment text not null,
  role text not null,
  name text not null,
  created_by text not null,
  created_at timestamptz not null,
  expires_at timestamptz not null,
  -- Of a key that was rotated: the one that comes after it.
  replaced_by text references :schema.api_keys,
  revoked_at timestamptz,
  revoked_why text,
  last_used_at timestamptz,
  last_used_from text,
  -- From where it may be used, in CIDR notation; null: from anywhere.
  networks text[],
  foreign key (customer, entity, environment) references :schema.environments (customer, entity, environment)
);
create index on :schema.api_keys (customer, entity);
grant select, insert, update on :schema.api_keys to frame_control;
