-- How often everybody has called lately, for both slots together. Worth nothing after a crash, so it costs no WAL.
create unlogged table :schema.rates (
  key varchar(255) primary key,
  points integer not null default 0,
  -- Milliseconds since 1970.
  expire bigint
);
grant select, insert, update, delete on :schema.rates to frame_control;
