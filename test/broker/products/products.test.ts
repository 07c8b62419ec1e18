import { OAuthClientInformationFullSchema } from '@modelcontextprotocol/sdk/shared/auth.js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Client, type Clients, createClients } from '../../../src/broker/clients.ts';
import { KNOWN_DOCUMENTS } from '../../../src/broker/known-documents.ts';
import type { Network } from '../../../src/broker/public-network.ts';
import { matchesRedirect } from '../../../src/broker/redirect-uri.ts';
import { observeNothing } from '../../../src/observe.ts';
import { type AuditDatabase, openAuditDatabase } from '../../audit/audit-database.ts';
import { serve, startDocumentHost } from '../document-host.ts';
import type { Introduction } from './product.ts';
import { PRODUCTS } from './products.ts';

const OURS = ['https://axe.axelabs.ai', 'http://127.0.0.1:3712'];

let database: AuditDatabase;
beforeAll(async () => {
  database = await openAuditDatabase();
});
afterAll(() => database.close());

const offline: Network = {
  resolve: () => Promise.reject(new Error('no network')),
  connect: () => expect.fail('connected'),
};

function open(network: Network): Clients {
  return createClients({
    pools: database.pools,
    network,
    ownOrigins: () => OURS,
    now: Date.now,
    observe: observeNothing,
    limits: { registrationsPerMinute: 30 },
  });
}

async function introduce(introduction: Introduction): Promise<Client | 'unknown' | 'unreachable'> {
  if (introduction.by === 'registration') {
    const clients = open(offline);
    const asked = Array.from({ length: introduction.times }, () => clients.register(introduction.body, '127.0.0.1'));
    const answers = await Promise.all(asked);
    const { client_id: clientId, ...answer } = OAuthClientInformationFullSchema.parse(answers[0]);
    expect(answers.every(({ client_id }) => client_id === clientId)).toBe(true);
    expect(answer).toMatchObject({
      redirect_uris: introduction.body.redirect_uris,
      token_endpoint_auth_method: 'none',
    });
    expect(answer).not.toHaveProperty('client_secret');
    return clients.find(clientId);
  }
  const host = await startDocumentHost(new URL(introduction.clientId).hostname);
  host.answer = serve(introduction.document);
  return open(host.network)
    .find(introduction.clientId)
    .finally(() => host.close());
}

const cases = PRODUCTS.flatMap(({ name, introductions }) =>
  introductions.map(introduction => ({ name, by: introduction.by, introduction })),
);

describe('every product', () => {
  test.each(cases)('$name is introduced by $by and gets its answer where it listens', async ({ introduction }) => {
    const client = await introduce(introduction);
    if (typeof client === 'string') throw new Error(client);
    const { redirectUri } = introduction;
    expect(matchesRedirect(client, redirectUri, OURS)).toBe(true);
    for (const stolen of [`${redirectUri}x`, `${redirectUri}#x`, redirectUri.replace(/\/\/[^/]+/, '//evil.example')]) {
      expect(matchesRedirect(client, stolen, OURS)).toBe(false);
    }
  });
});

test('what is known by heart is what the products say', () => {
  const documents = cases.flatMap(({ introduction }) => (introduction.by === 'document' ? [introduction] : []));
  const said = new Map(
    documents.map(({ clientId, document }) => [
      clientId,
      { name: document.client_name, redirectUris: document.redirect_uris },
    ]),
  );
  for (const [clientId, metadata] of KNOWN_DOCUMENTS) expect(said.get(clientId)).toEqual(metadata);
});
