import { type ChainVerdict, verifyAudit } from '../../audit/verify.ts';
import { readSettings } from '../../config/settings.ts';
import { AUDIT_LOGIN } from '../../database/place.ts';
import { defineCommand, EXIT, type Io, WrongUsage } from '../command.ts';
import { openDatabase } from '../open-database.ts';

/** Reads the whole record again and says of each chain whether it is as it was written. */
export const auditCommand = defineCommand({
  usage: `Usage: frame audit verify [--customer ID] [--entity ID] [options]

Computes the hash chains of the audit log again, one per customer and entity (- for calls without an entity). The exit
code is that of the worst chain: 0 whole, 2 a record was altered, 3 records are missing (or the end was cut off); 1 when
there is no chain of the customer or entity that was named.
  --entity ID         this entity only`,
  options: { entity: { type: 'string' } },
  words: { least: 1, most: 1 },
  async run({ words: [verb], values: { entity }, flags, isJson }, io) {
    if (verb !== 'verify') throw new WrongUsage(`\`audit ${verb}\` is nothing that can be done.`);
    const settings = await readSettings(io.env, flags, io.cwd);
    const { customer } = settings;
    await using database = await openDatabase({ ...settings, masterKeyMayBeCreated: false }, []);

    const verdicts: ChainVerdict[] = [];
    const onProgress = showProgress(io);
    for await (const verdict of verifyAudit(database.pools, AUDIT_LOGIN, { customer, entity, onProgress })) {
      verdicts.push(verdict);
      if (!isJson) io.out(sentenceOf(verdict));
    }
    if (isJson) io.out(JSON.stringify(verdicts));
    if (verdicts.length > 0) return Math.max(...verdicts.map(({ verdict }) => CODES[verdict]));
    io.err('Nothing is recorded here.');
    // Who names something expects it to be there; a machine that is only pinned to a customer may be new.
    return flags.customer !== undefined || entity !== undefined ? EXIT.failed : EXIT.ok;
  },
});

// Private

/** 4 and 5 belong to signed checkpoints. */
const CODES = { whole: EXIT.ok, altered: 2, gap: 3 } as const;
const PROGRESS_RECORDS = 100_000;

function sentenceOf({ chain, records, verdict, at }: ChainVerdict): string {
  if (verdict === 'whole') return `${chain}  whole, ${records} ${records === 1 ? 'record' : 'records'}`;
  return `${chain}  ${verdict} at ${at}`;
}

/** One line per 100,000 records, for somebody who watches. */
function showProgress({ isTerminal, err }: Io): (records: number) => void {
  let next = PROGRESS_RECORDS;
  return records => {
    if (!isTerminal || records < next) return;
    err(`${records} records read`);
    next = records + PROGRESS_RECORDS;
  };
}
