import { mkdtemp, readdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { askForItem, startFrame } from './frame.ts';
import { putLoad } from './load.ts';
import { meterOf } from './processes.ts';
import { ROOT, type Stage } from './stage.ts';

export interface Profile {
  /** The same as a debugger opens it. */
  file: string;
  /** Per call. */
  cpuMicros: number;
  /** Rooms and packages, largest first. What Node and V8 do for one of them counts as its own. */
  places: Share[];
  functions: Share[];
}

export interface Share {
  name: string;
  /** Of the time that was not idle. */
  share: number;
}

/** Puts load on a `frame serve` that watches itself, and adds up where its time went. */
export async function profileSelect(stage: Stage): Promise<Profile> {
  const folder = await mkdtemp(join(tmpdir(), 'frame-profile-'));
  const asking = askForItem(stage);
  const frame = await startFrame(stage, asking, ['--cpu-prof', `--cpu-prof-dir=${folder}`]);
  const meters = { server: meterOf(frame.pid), postgres: stage.postgres };
  const { cpuMicros } = await putLoad(
    asking,
    { connections: 16, warmSeconds: WARM_SECONDS, seconds: SECONDS },
    meters,
  ).finally(() => frame[Symbol.asyncDispose]());
  const [name = ''] = await readdir(folder);
  const file = join(folder, name);
  return { file, cpuMicros, ...addUp(JSON.parse(await readFile(file, 'utf8'))) };
}

// Private

/** So that code which runs often is compiled before it is looked at. */
const WARM_SECONDS = 10;
const SECONDS = 10;

interface CpuProfile {
  nodes: ProfileNode[];
  samples: number[];
  timeDeltas: number[];
}

interface ProfileNode {
  id: number;
  callFrame: { functionName: string; url: string; lineNumber: number };
  children?: number[];
}

function addUp({ nodes, samples, timeDeltas }: CpuProfile): Pick<Profile, 'places' | 'functions'> {
  const byId = new Map(nodes.map(node => [node.id, node]));
  const parents = new Map(nodes.flatMap(node => (node.children ?? []).map(child => [child, node] as const)));
  const places = new Map<string, number>();
  const functions = new Map<string, number>();
  let busy = 0;
  // The process ends when the load does.
  let leftMicros = timeDeltas.reduce((sum, micros) => sum + micros, 0);
  for (const [i, id] of samples.entries()) {
    const micros = timeDeltas[i] ?? 0;
    leftMicros -= micros;
    const node = byId.get(id);
    if (!node || leftMicros > SECONDS * 1e6 || node.callFrame.functionName === '(idle)') continue;
    busy += micros;
    count(places, placeOf(node), micros);
    count(functions, nameOf(node), micros);
  }
  const toShares = (totals: Map<string, number>) =>
    [...totals].map(([name, micros]) => ({ name, share: micros / busy })).sort((a, b) => b.share - a.share);
  return { places: toShares(places), functions: toShares(functions) };

  /** The room or package that this was done for: the nearest one up the stack. */
  function placeOf(node: ProfileNode): string {
    for (let at: ProfileNode | undefined = node; at; at = parents.get(at.id)) {
      const { url, functionName } = at.callFrame;
      const room = /\/src\/(?:([\w-]+)\/|([\w-]+)\.ts)/.exec(url);
      if (room && url.includes(ROOT)) return `src/${room[1] ?? room[2]}`;
      const name = /\/node_modules\/((?:@[\w.-]+\/)?[\w.-]+)\//.exec(url)?.[1];
      if (name) return name;
      if (functionName.startsWith('(') && functionName !== '(root)' && functionName !== '(anonymous)')
        return functionName;
    }
    return 'node';
  }
}

function count(totals: Map<string, number>, key: string, micros: number): void {
  totals.set(key, (totals.get(key) ?? 0) + micros);
}

function nameOf({ callFrame: { functionName, url, lineNumber } }: ProfileNode): string {
  const where = url.replace(/^file:\/\//, '').replace(`${ROOT}/`, '');
  return `${functionName || '(anonymous)'} ${where && `${where}:${lineNumber + 1}`}`.trim();
}
