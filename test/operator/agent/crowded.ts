import { closeSync, openSync } from 'node:fs';
import { lifeOf } from '../../../src/operator/agent/processes.ts';

/** Opens all the files that it may, then asks for the process of this number, and says what it was told. */
const taken: number[] = [];
const pid = Number(process.argv[2]);
await lifeOf(pid);
try {
  for (;;) taken.push(openSync('/dev/null', 'r'));
} catch {
  const told = await lifeOf(pid).then(String, thrown => String(thrown.code ?? thrown));
  for (const file of taken) closeSync(file);
  console.log(told);
}
