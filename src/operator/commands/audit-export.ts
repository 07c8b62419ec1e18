import { checkpointFiles } from '../../audit/checkpoint-writer.ts';
import { type Evidence, readOwnEvidence } from '../../audit/evidence.ts';
import { type ExtractScope, extractLines, signExtract } from '../../audit/extract.ts';
import { type FileLine, isThere, writeChecked } from '../../audit/line-file.ts';
import { headsOf } from '../../audit/signed-line.ts';
import { readChains, type VerifyOptions, verifyAudit } from '../../audit/verify.ts';
import { type ExtractVerdict, verifyExtract, verifyExtractLines } from '../../audit/verify-extract.ts';
import type { Settings } from '../../config/settings.ts';
import type { Read } from '../../database/ledger.ts';
import { EXIT, type Io, WrongUsage } from '../command.ts';
import { readAudit } from '../open-checkpoints.ts';
import { joinDatabase } from '../open-database.ts';
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
  if (to !== undefined) await refuseOther(to);
  await using database = await joinDatabase(settings);
  const read = readAudit(database.pools);
  const signer = database.checkpointKey;
  const { checkpoints } = checkpointFiles(settings.dataFolder);
  const readEvidence = () => readOwnEvidence(read, settings.dataFolder, signer.publicKey);
  const evidence = await readEvidence();
  const fault = await findFault(read, evidence, { ...scope, readAnchors: async () => (await readEvidence()).anchors });
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
  const missing = await writeOut(lines, to, signer.publicKey, io).finally(() => io.status(''));
  if (missing !== undefined) {
    const what = to === undefined ? 'What was written is not whole, do not use it' : 'Nothing was exported';
    io.err(`${missing}. ${what}: a month may have been archived meanwhile. Run it again.`);
    return EXIT.failed;
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

async function findFault(
  read: Read,
  { anchors, faults }: Evidence,
  scope: ExtractScope & Pick<VerifyOptions, 'readAnchors'>,
): Promise<string | undefined> {
  if (faults[0]) return `The checkpoints are not whole: ${faults[0]}`;
  for await (const verdict of verifyAudit(read, { ...scope, anchors })) {
    if (verdict.verdict !== 'whole') return sentenceOfChain(verdict);
  }
  return undefined;
}

/** What was written is verified: a month that is taken out meanwhile takes its records along. Returns what is missing. */
async function writeOut(
  lines: AsyncIterable<string>,
  to: string | undefined,
  publicKey: string,
  io: Io,
): Promise<string | undefined> {
  if (to === undefined) return faultOf(await verifyExtractLines(shown(lines, io), publicKey));
  try {
    await writeChecked(to, lines, async draft => {
      const fault = faultOf(await verifyExtract(draft, publicKey));
      if (fault !== undefined) throw new NotWhole(fault);
      await refuseOther(to);
    });
  } catch (thrown) {
    if (thrown instanceof NotWhole) return thrown.message;
    throw thrown;
  }
  return undefined;
}

class NotWhole extends Error {}

async function refuseOther(file: string): Promise<void> {
  if (await isThere(file)) throw new WrongUsage(`${file} is there already.`);
}

async function* shown(lines: AsyncIterable<string>, { out }: Io): AsyncGenerator<FileLine> {
  for await (const text of lines) {
    out(text);
    yield { text, isWhole: true };
  }
}

function faultOf({ faults, chains }: ExtractVerdict): string | undefined {
  const broken = chains.find(({ verdict }) => verdict !== 'whole');
  return faults[0] ?? (broken && sentenceOfChain(broken));
}
