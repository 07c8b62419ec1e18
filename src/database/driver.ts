import type { Socket } from 'node:net';
import postgres from 'postgres';
import { ConnectionLost } from './lifeline.ts';
import type { ServerAddress } from './socket.ts';

export interface DriverOptions {
  address: ServerAddress;
  user: string;
  password: string;
  database: string;
  /** Settings of the session, on top of the login's own. */
  settings?: Readonly<Record<string, string>>;
  onNotify?: ((channel: string, payload: string) => void) | undefined;
}

/** postgres.js as one session on our own socket: no pool, no queue, no reconnecting, no timers of its own. */
export function createDriver(socket: Socket, options: DriverOptions): postgres.Sql {
  const { address, user, password, database, settings, onNotify } = options;
  let handedOut = false;
  const driverOptions = {
    host: address.host,
    port: address.port,
    user,
    password,
    database,
    max: 1,
    ssl: false,
    fetch_types: false,
    connect_timeout: 0,
    idle_timeout: 0,
    max_lifetime: null,
    types: TYPES,
    // Everybody on the server may read application_name: nothing of a tenant in it.
    connection: { application_name: 'frame', TimeZone: 'UTC', DateStyle: 'ISO', ...settings },
    onnotice: () => {},
    onnotify: onNotify,
    no_subscribe: true,
    socket() {
      if (handedOut) throw new ConnectionLost('a session does not come back');
      handedOut = true;
      return socket;
    },
  };
  return postgres(driverOptions);
}

/** Without arguments `unsafe` uses the simple protocol, which runs several statements. */
export const EXTENDED_PROTOCOL = { simple: false };

/** As text, so that Postgres infers the type: postgres.js would declare a boolean as `bool`, whatever the column is. */
export function toText(value: unknown): string | null {
  if (value === null || typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint') return String(value);
  throw new TypeError(`A parameter is text, a number, a boolean or null, not ${typeof value}.`);
}

// Private

/** Postgres reads what we send as text; of what it sends, only truth and small numbers become more than text. */
const TYPES = {
  bool: { to: 16, from: [16], serialize: String, parse: (text: string) => text === 't' },
  // oid, json, jsonb, date, timestamp, timestamptz, bytea: postgres.js would make objects of them.
  text: { to: 25, from: [26, 114, 3802, 1082, 1114, 1184, 17], serialize: String, parse: String },
};
