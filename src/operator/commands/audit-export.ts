import { checkpointFiles } from '../../audit/checkpoint-writer.ts';
import { type Evidence, readOwnEvidence } from '../../audit/evidence.ts';
import { type ExtractScope, extractLines, signExtract } from '../../audit/extract.ts';
import { writeLines } from '../../audit/line-file.ts';
import { headsOf } from '../../audit/signed-line.ts';
import { readChains, verifyAudit } from '../../audit/verify.ts';
import type { Settings } from '../../config/settings.ts';
import type { Read } from '../../database/ledger.ts';
import { EXIT, type Io, WrongUsage } from '../command.ts';
import { readAudit } from '../open-checkpoints.ts';
import { openDatabase } from '../open-database.ts';
import { count, sentenceOfChain } from './audit-words.ts';

/**
 * The records of one company, with what verifies them elsewhere, into a file or to standard output. Only of a log that is
 * whole: an export is signed anew, and would vouch for what somebody has altered.
 */
export async function exportLog(
  settings: Settings,
  scope: ExtractScope,
  to: string | undefined,
  io: Io,
): Promise<number> {
  await using database = await openDatabase({ ...settings, masterKeyMayBeCreated: false }, []);
  const read = readAudit(database.pools);
  const signer = database.checkpointKey;
  const { checkpoints } = checkpointFiles(settings.dataFolder);
  const evidence = await readOwnEvidence(read, settings.dataFolder, signer.publicKey);
  const fault = await findFault(read, evidence, scope);
  if (fault !== undefined) {
    io.err(`${fault}. Nothing was exported, for an export would be signed; \`frame audit verify\` says more.`);
    return EXIT.failed;
  }
  const { anchors } = evidence;
  const chains = await readChains(read, anchors, scope);
  const header = await signExtract(read, signer, scope, { chains, anchors, now: Date.now() });
  if (!header) {
    io.err('Nothing is recorded of it in the database.');
    return EXIT.failed;
  }
  const onProgress = (records: number) => io.status(`${records} records written`);
  const lines = extractLines({ read, header, publicKey: signer.publicKey, checkpoints, onProgress });
  try {
    if (to === undefined) for await (const line of lines) io.out(line);
    else await writeLines(to, lines).catch(thrown => explain(thrown, to));
  } finally {
    io.status('');
  }
  const records = headsOf(header).reduce((sum, { count = 0 }) => sum + count, 0);
  io.err(
    `${count(records, 'record')} of ${headsOf(header)
      .map(({ chain }) => chain)
      .join(', ')}`,
  );
  return EXIT.ok;
}

// Private

async function findFault(read: Read, { anchors, faults }: Evidence, scope: ExtractScope): Promise<string | undefined> {
  if (faults[0]) return `The checkpoints are not whole: ${faults[0]}`;
  for await (const verdict of verifyAudit(read, { ...scope, anchors })) {
    if (verdict.verdict !== 'whole') return sentenceOfChain(verdict);
  }
  return undefined;
}

function explain(thrown: NodeJS.ErrnoException, file: string): never {
  if (thrown.code === 'EEXIST') throw new WrongUsage(`${file} is there already.`);
  throw thrown;
}
