import { type Connection, openConnection } from '../database/connect.ts';
import { loginOf, type Place } from '../database/place.ts';
import type { OpenDatabase } from './open-database.ts';

/**
 * A session of the login that owns a place's tables, for work of an operator that may take longer than a change of the
 * tables may: only this session is freed of the limits.
 */
export function connectDesigner({ server, passwordOf }: OpenDatabase, place: Place): Promise<Connection> {
  const { role, database } = loginOf(place, 'own');
  return openConnection({
    address: server.address,
    user: role,
    password: passwordOf(role),
    database,
    settings: { statement_timeout: '0', idle_in_transaction_session_timeout: '0' },
    limits: { connectMs: 5000, graceMs: 1000, queryMs: 0, maxAnswerBytes: 64_000_000 },
  });
}
