import { join } from 'node:path';
import type { OwnerConnection } from '../database/server.ts';
import { checkpointFiles } from './checkpoint-writer.ts';
import { extractLines } from './extract.ts';
import { isThere, writeChecked } from './line-file.ts';
import { AuditRefusal, type MonthParts, readAnchors, readFinishedMonths } from './months.ts';
import { hashOf, headsOf, type SignedLine } from './signed-line.ts';
import { verifyExtract } from './verify-extract.ts';

export interface ArchiveParts extends MonthParts {
  /** The only one who may take a month out of the database. */
  owner: OwnerConnection;
  /** Where the month goes. */
  folder: string;
  /** So many finished months stay. */
  keepMonths: number;
  onProgress?(records: number): void;
}

/**
 * Takes a sealed month out of the database: writes it to a file, verifies the file, signs that the month is gone, and drops
 * it. Killed at any point, it loses nothing, and the next run goes on. Returns the file. AuditRefusal says why not.
 */
export async function archiveMonth(month: string, parts: ArchiveParts): Promise<string> {
  const seal = await requireSeal(month, parts);
  const file = join(parts.folder, `frame-audit-${month}.ndjson`);
  if (await isThere(file)) await requireWhole(file, seal, parts);
  else await writeMonth(file, seal, parts);
  await takeOut(month, seal, parts);
  return file;
}

// Private

async function requireSeal(month: string, parts: ArchiveParts): Promise<SignedLine> {
  const { read, keepMonths } = parts;
  const finished = await readFinishedMonths(read);
  if (!finished.includes(month)) throw new AuditRefusal(`${month} is not over, or not in the database`);
  if (finished[0] !== month) throw new AuditRefusal(`${finished[0]} has to be archived before ${month}`);
  if (finished.length <= keepMonths) {
    throw new AuditRefusal(`${month} stays: audit.keep_months of gateway.yaml is ${keepMonths}`);
  }
  const seal = (await readAnchors(parts)).sealOf(month);
  if (!seal) throw new AuditRefusal(`${month} is not sealed`);
  return seal;
}

async function writeMonth(file: string, header: SignedLine, parts: ArchiveParts): Promise<void> {
  const { checkpoints } = checkpointFiles(parts.dataFolder);
  const lines = extractLines({ ...parts, header, checkpoints });
  await writeChecked(file, lines, draft => requireWhole(draft, header, parts));
}

/** What was written is read again before anything is dropped. */
async function requireWhole(file: string, seal: SignedLine, { publicKey }: ArchiveParts): Promise<void> {
  const { header, chains, faults } = await verifyExtract(file, publicKey);
  const broken = chains.find(({ verdict }) => verdict !== 'whole');
  if (header && hashOf(header) !== hashOf(seal))
    throw new AuditRefusal(`${file} is there already, and holds something else`);
  if (faults[0]) throw new AuditRefusal(`${file}: ${faults[0]}`);
  if (broken) throw new AuditRefusal(`${file}: ${broken.chain} is ${broken.verdict} at ${broken.at}`);
}

/** Nothing is signed or dropped but what the seal speaks of; from the look at it to the end nobody adds to it. */
async function takeOut(month: string, seal: SignedLine, parts: ArchiveParts): Promise<void> {
  const { owner, say } = parts;
  const part = `audit.log_${month.replace('-', '_')}`;
  await owner.query('begin');
  try {
    await owner.query("set local lock_timeout = '2s'");
    await owner.query(`lock table ${part} in share mode`);
    await requireSealed(part, seal, owner);
    if (!(await readAnchors(parts)).archivedMonths.has(month)) await say({ kind: 'archive', month });
    // Appends stand behind us while we wait for those who read.
    await owner.script(`alter table audit.log detach partition ${part}; drop table ${part}`);
    await owner.query('commit');
  } catch (thrown) {
    await owner.query('rollback').catch(() => {});
    throw thrown;
  }
}

async function requireSealed(part: string, seal: SignedLine, owner: OwnerConnection): Promise<void> {
  const { rows } = await owner.query(`select chain, max(seq), count(*) from ${part} group by chain`);
  const sealed = new Map(headsOf(seal).map(({ chain, seq, count }) => [chain, `${seq} ${count}`]));
  const strange = rows.find(([chain, last, count]) => sealed.get(String(chain)) !== `${last} ${count}`);
  if (strange) throw new AuditRefusal(`${seal.month} holds something else of ${strange[0]} than its seal says`);
  if (rows.length < sealed.size) throw new AuditRefusal(`${seal.month} holds less than its seal says`);
}
