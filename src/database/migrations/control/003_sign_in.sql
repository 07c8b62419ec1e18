-- The gateway's own authorization server. Of codes, tokens and transactions only SHA-256 digests are kept, so that a dump
-- of this database opens nothing.

-- Programs that people connect with: registered here (RFC 7591), or described by a document at their own address.
create table :schema.oauth_clients (
  client_id text primary key,
  kind text not null check (kind in ('registered', 'document')),
  metadata jsonb not null,
  created_at timestamptz not null default now(),
  last_used_at timestamptz,
  -- Of documents: when it was read, and until when it need not be read again.
  fetched_at timestamptz,
  fresh_until timestamptz
);

-- A sign-in on its way through our pages and Entra. Deleted when it comes back, whoever brings it back.
create table :schema.oauth_sign_ins (
  id_hash bytea primary key,
  -- Null until the work e-mail has told which, on an origin that several share.
  customer text,
  origin text not null,
  client_id text not null,
  client_name text not null,
  client_host text,
  redirect_uri text not null,
  client_state text,
  code_challenge text not null,
  resource text not null,
  -- What the client asked for, and what the person agreed to.
  scopes text[] not null,
  agreed_scopes text[],
  -- The work e-mail, for Entra's page.
  login_hint text,
  -- Of the cookie that the browser gets when the person agrees.
  cookie_hash bytea not null,
  -- Null until the person agreed: before that nothing may come back from Entra.
  upstream_state_hash bytea unique,
  -- Nonce and verifier for Entra, sealed.
  upstream text,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null
);

-- Who is signed in, with which program, for what. It ends after 90 days, or when somebody revokes it.
create table :schema.oauth_sessions (
  id uuid primary key,
  customer text not null,
  tenant_id text not null,
  object_id text not null,
  username text not null,
  name text not null,
  -- Null: Entra named too many to list.
  groups text[],
  app_roles text[] not null,
  is_guest boolean not null,
  client_id text not null,
  client_name text not null,
  client_host text,
  resource text not null,
  scopes text[] not null,
  created_at timestamptz not null default now(),
  last_used_at timestamptz not null default now(),
  expires_at timestamptz not null,
  revoked_at timestamptz,
  revoked_why text
);
create index oauth_sessions_of on :schema.oauth_sessions (customer, tenant_id, object_id);

create table :schema.oauth_codes (
  code_hash bytea primary key,
  session_id uuid not null references :schema.oauth_sessions on delete cascade,
  client_id text not null,
  redirect_uri text not null,
  code_challenge text not null,
  expires_at timestamptz not null,
  used_at timestamptz
);
create index oauth_codes_session on :schema.oauth_codes (session_id);

create table :schema.oauth_tokens (
  token_hash bytea primary key,
  session_id uuid not null references :schema.oauth_sessions on delete cascade,
  kind text not null check (kind in ('access', 'refresh')),
  scopes text[] not null,
  issued_at timestamptz not null default now(),
  expires_at timestamptz not null,
  -- Of refresh tokens: when it was exchanged, and the answer that was given, sealed under the token itself.
  used_at timestamptz,
  answer text
);
create index oauth_tokens_session on :schema.oauth_tokens (session_id);

grant select, insert, update, delete on :schema.oauth_clients, :schema.oauth_sign_ins, :schema.oauth_sessions,
  :schema.oauth_codes, :schema.oauth_tokens to frame_control;
