import { WrongConfiguration } from '../errors.ts';
import { Secret } from '../secret.ts';
import { type ServerAddress, SSL_MODES, type SslMode } from './socket.ts';

export interface DatabaseUrl {
  address: ServerAddress;
  user: string;
  password: Secret;
  /** For the first connection only. */
  database: string;
}

/** Reads `postgres://user:password@host:port/database?sslmode=…`. Mistakes never repeat it: it holds a password. */
export function parseDatabaseUrl(secret: Secret): DatabaseUrl {
  const url = URL.parse(secret.reveal());
  if (!url || !/^postgres(ql)?:$/.test(url.protocol) || !url.hostname) {
    throw wrongDatabaseUrl('It must look like postgres://user:password@host:port/database.');
  }
  if (!url.username) throw wrongDatabaseUrl('It must name a user: postgres://user:password@host:port/database.');
  const unknown = [...url.searchParams.keys()].filter(key => key !== 'sslmode');
  if (unknown.length > 0) throw wrongDatabaseUrl(`Only sslmode is understood after the question mark, not ${unknown}.`);
  const ssl = url.searchParams.get('sslmode') ?? 'prefer';
  if (!isSslMode(ssl)) throw wrongDatabaseUrl(`sslmode must be one of ${SSL_MODES.join(', ')}.`);
  return {
    address: { host: url.hostname.replace(/^\[|\]$/g, ''), port: Number(url.port || 5432), ssl },
    user: decode(url.username),
    password: new Secret(decode(url.password)),
    database: decode(url.pathname.slice(1)) || 'postgres',
  };
}

export function wrongDatabaseUrl(sentence: string): WrongConfiguration {
  return new WrongConfiguration([{ file: 'FRAME_DATABASE_URL', sentence }]);
}

// Private

function isSslMode(text: string): text is SslMode {
  return SSL_MODES.some(mode => mode === text);
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw wrongDatabaseUrl('A % in user, password or database must be written as %25.');
  }
}
