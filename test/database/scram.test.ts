import { expect, test } from 'vitest';
import { isVerifierOf, scramVerifier } from '../../src/database/scram.ts';
import { asOwner, freshName, sharedPostgres } from '../support/postgres.ts';
import { rowsAsOwner } from '../support/tenants.ts';

/** The user of RFC 7677. */
const OF_PENCIL =
  'SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=';

test('knows the right password from a wrong one', () => {
  expect(isVerifierOf('pencil', OF_PENCIL)).toBe(true);
  expect(isVerifierOf('Pencil', OF_PENCIL)).toBe(false);
  const ours = scramVerifier('secret');
  expect(isVerifierOf('secret', ours)).toBe(true);
  expect(isVerifierOf('secre', ours)).toBe(false);
});

test('salts: the same password never looks the same', () => {
  expect(scramVerifier('secret')).not.toBe(scramVerifier('secret'));
});

test('agrees with what Postgres makes of a password', async () => {
  const server = await sharedPostgres();
  const role = freshName('scram');
  await asOwner(server, 'postgres', `create role ${role} password 'it''s me'`);
  const [[verifier] = []] = await rowsAsOwner(
    server,
    'postgres',
    `select rolpassword from pg_authid where rolname = '${role}'`,
  );
  await asOwner(server, 'postgres', `drop role ${role}`);
  expect(isVerifierOf("it's me", verifier)).toBe(true);
  expect(isVerifierOf('somebody else', verifier)).toBe(false);
});

test.each([
  null,
  undefined,
  '',
  'md5d41d8cd98f00b204e9800998ecf8427e',
  'secret',
  'SCRAM-SHA-256$x:y$z',
  `${OF_PENCIL} `,
])('is of nobody: %s', verifier => {
  expect(isVerifierOf('pencil', verifier)).toBe(false);
  expect(isVerifierOf('secret', verifier)).toBe(false);
});
