import type { DatabaseServer, OwnerConnection } from './server.ts';

/** Opens a session of the owner on a database for one piece of work, and closes it whatever happens. */
export async function asOwner<T>(
  server: DatabaseServer,
  database: string,
  work: (owner: OwnerConnection) => Promise<T>,
): Promise<T> {
  const owner = await server.connectAsOwner(database);
  try {
    return await work(owner);
  } finally {
    await owner.close();
  }
}
