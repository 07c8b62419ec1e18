import { readFile } from 'node:fs/promises';
import { checkpointFiles, readLog } from '../../audit/checkpoint-writer.ts';
import { type Evidence, readEvidence } from '../../audit/evidence.ts';
import { secondFile } from '../../audit/second-place.ts';
import { createVerifier } from '../../audit/signature.ts';
import { verifyAudit } from '../../audit/verify.ts';
import { verifyExtract } from '../../audit/verify-extract.ts';
import type { ChainVerdict } from '../../audit/walk.ts';
import type { Settings } from '../../config/settings.ts';
import type { Read } from '../../database/ledger.ts';
import { CONTROL_DATABASE } from '../../database/place.ts';
import { openServer } from '../../database/server.ts';
import { WrongConfiguration } from '../../errors.ts';
import { observeNothing } from '../../observe.ts';
import { createCheckpointKey } from '../../vault/checkpoint-key.ts';
import { readMasterKey } from '../../vault/master-key.ts';
import { EXIT, type Io } from '../command.ts';
import { readAudit } from '../open-checkpoints.ts';
import { joinDatabase } from '../open-database.ts';
import { type CheckpointVerdict, sentenceOfChain, sentenceOfCheckpoints, worstOf } from './audit-words.ts';

export interface VerifyAsked {
  customer: string | undefined;
  entity: string | undefined;
  /** Somebody named a customer or an entity, so it should be there. */
  isNamed: boolean;
  /** Other files than those of this machine. */
  publicKey: string | undefined;
  checkpoints: string | undefined;
}

/** Is the log as it was written? Resolves to the exit code. */
export async function verifyLog(settings: Settings, asked: VerifyAsked, isJson: boolean, io: Io): Promise<number> {
  await using closing = new AsyncDisposableStack();
  const { read, publicKey } = await openLog(settings, asked, closing);
  const file = asked.checkpoints ?? checkpointFiles(settings.dataFolder).checkpoints;
  const { secondPlace } = settings.gateway.audit;
  const second = asked.checkpoints === undefined && secondPlace !== undefined ? secondFile(secondPlace) : undefined;
  const verifier = createVerifier(publicKey);
  // In this order: what is read first is the past of what is read next, however much is appended meanwhile.
  const readAll = async () => {
    const { heads, remembered } = await readLog(read);
    const isCopy = asked.checkpoints !== undefined;
    return { heads, evidence: await readEvidence({ file, second, verifier, remembered, isCopy }) };
  };
  const { heads, evidence } = await readAll();

  const chains: ChainVerdict[] = [];
  const say = (sentence: string) => !isJson && io.out(sentence);
  const options = {
    ...asked,
    anchors: evidence.anchors,
    readAnchors: async () => (await readAll()).evidence.anchors,
    onProgress: showProgress(io),
  };
  for await (const verdict of verifyAudit(read, options)) {
    chains.push(verdict);
    say(sentenceOfChain(verdict));
  }
  const hasRecords = heads.length > 0 || chains.some(({ records }) => records > 0);
  const checkpoints = judge(evidence, file, hasRecords);
  if (checkpoints) say(sentenceOfCheckpoints(checkpoints));
  for (const warning of evidence.warnings) io.err(warning);
  const verdicts = [...chains, ...(checkpoints ? [checkpoints] : [])];
  if (isJson) io.out(JSON.stringify(verdicts));
  const code = worstOf(verdicts);
  if (chains.length > 0 || code > 0) return code;
  io.err('Nothing is recorded here.');
  return asked.isNamed ? EXIT.failed : EXIT.ok;
}

/** Is a file of `audit export` or `audit archive` as it was written? Needs no database. */
export async function verifyFile(
  settings: Settings,
  { file, publicKey }: { file: string; publicKey: string | undefined },
  isJson: boolean,
  io: Io,
): Promise<number> {
  const key = publicKey === undefined ? await readOwnKey(settings) : await readKeyFile(publicKey);
  const verdict = await verifyExtract(file, key, showProgress(io));
  const { chains, faults, checkpoints: lines, keyId } = verdict;
  const signed: CheckpointVerdict = {
    checkpoints: file,
    lines,
    verdict: faults[0] ? 'forged' : 'whole',
    ...(faults[0] && { why: faults[0] }),
  };
  if (isJson) io.out(JSON.stringify([...chains, signed]));
  else for (const sentence of [...chains.map(sentenceOfChain), sentenceOfCheckpoints(signed)]) io.out(sentence);
  if (key === undefined && keyId !== undefined) {
    io.err(
      `Verified with the key in the file, ${keyId}: that proves nothing until you compare it with the operator's.`,
    );
  }
  return worstOf([...chains, signed]);
}

// Private

const PROGRESS_RECORDS = 100_000;

/** With the master key on the login of the log; without it, for an auditor with a key file, on a connection of their own. */
async function openLog(
  settings: Settings,
  { publicKey }: VerifyAsked,
  closing: AsyncDisposableStack,
): Promise<{ read: Read; publicKey: string }> {
  if (publicKey === undefined) {
    const database = closing.use(await joinDatabase(settings));
    return { read: readAudit(database.pools), publicKey: database.checkpointKey.publicKey };
  }
  const key = await readKeyFile(publicKey);
  const server = await openServer({ ...settings, observe: observeNothing });
  closing.defer(() => server.close());
  const owner = await server.connectAsOwner(CONTROL_DATABASE);
  closing.defer(() => owner.close());
  return { read: owner.query, publicKey: key };
}

function judge({ lines, last, faults }: Evidence, file: string, hasRecords: boolean): CheckpointVerdict | undefined {
  const told = { checkpoints: file, lines, ...(last && { last: new Date(last.at).toISOString() }) };
  const [first, ...others] = faults;
  if (first) {
    const more = others.length > 0 ? ` (and ${others.length} more)` : '';
    return { ...told, verdict: lines === 0 ? 'missing' : 'forged', why: `${file}: ${first}${more}` };
  }
  if (lines > 0) return { ...told, verdict: 'whole' };
  const why = `${file} has none, although there are records; put it back, from the second place for example`;
  return hasRecords ? { ...told, verdict: 'missing', why } : undefined;
}

async function readKeyFile(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch((thrown: NodeJS.ErrnoException) =>
    refuse(`cannot be read (${thrown.code})`),
  );
  try {
    createVerifier(text);
    return text;
  } catch {
    return refuse('is no public key of Frame; `audit/public-key.pem` of the data folder is one');
  }

  function refuse(sentence: string): never {
    throw new WrongConfiguration([{ file, sentence }]);
  }
}

/** Undefined on a machine that has no master key: somebody else's. */
async function readOwnKey({ masterKeyFile }: Settings): Promise<string | undefined> {
  try {
    return createCheckpointKey(await readMasterKey(masterKeyFile, false)).publicKey;
  } catch (thrown) {
    if (thrown instanceof WrongConfiguration) return undefined;
    throw thrown;
  }
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
