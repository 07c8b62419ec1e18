import type { Slot } from './layout.ts';

/**
 * What the laptop asks an agent, and what it hears. One request on standard input (a line of JSON), events on standard
 * output (a line of JSON each), the last of them `answer` or `refusal`. The laptop brings its own agent along, so both
 * sides are always of one version.
 */
export interface Verbs {
  /** Which contents of this release are not here yet? */
  offer: { request: Described; answer: Offered };
  /** What was uploaded, and what was here already, becomes the release: verified whole, then renamed to its name. */
  assemble: { request: Described; answer: { id: string; treeHash: string } };
  /** Check, migrate, stage in the idle slot, gate, and take over unless told not to. */
  activate: { request: Activation; answer: Activated };
  /** The idle slot takes over. */
  promote: { request: { limits: Limits; force?: boolean }; answer: Activated };
  rollback: { request: { to?: string; limits: Limits; force?: boolean }; answer: Activated };
  cleanup: { request: { keep: number; force?: boolean }; answer: { removed: string[]; kept: string[] } };
  inspect: { request: Record<never, never>; answer: Inspection };
  provision: { request: Provisioning; answer: Provisioned };
}

export type Verb = keyof Verbs;

/** What changes a machine, in the words of operators: for lock, journal and history. */
export type Command = 'deploy' | 'promote' | 'rollback' | 'cleanup' | 'provision';

/** `by`: who asks, for lock and history (`anna@laptop`). `dryRun`: says the steps, does none. */
export type Ask = { [V in Verb]: { verb: V; by: string; dryRun: boolean } & Verbs[V]['request'] }[Verb];

export type Heard =
  /** A step began, or ended after `ms`. `note` is for people: `blue`, `5 of 5 answers from 2026…`. */
  | {
      kind: 'step';
      step: string;
      state: 'begun' | 'done' | 'skipped' | 'failed' | 'planned';
      ms?: number;
      note?: string;
    }
  /** The last lines of a slot's log, when its gate failed. */
  | { kind: 'log'; slot: Slot; lines: string[] }
  | { kind: 'warning'; sentence: string }
  | { kind: 'answer'; answer: Verbs[Verb]['answer'] }
  | { kind: 'refusal'; refusal: Refusal };

/** Why a verb did not do what it was asked. `exit` is the exit code of the command. */
export interface Refusal {
  code: 'deploy/failed' | 'deploy/refused' | 'deploy/gate-failed' | 'deploy/reverted' | 'deploy/locked';
  message: string;
  hint?: string;
  exit: 1 | 2 | 20 | 21 | 75;
}

/** Every file of a release but release.json, in the order of paths. Modes are 0644 or 0755; links stay inside. */
export type Manifest = (
  | { path: string; kind: 'file'; executable: boolean; size: number; sha256: string }
  | { path: string; kind: 'link'; target: string }
)[];

/** A release, to the last byte. */
export interface Described {
  id: string;
  manifest: Manifest;
  file: ReleaseFile;
}

/** release.json, beside package.json. */
export interface ReleaseFile {
  /** `20261120T135514Z-aaae36e`: the time of the commit, so that the same commit is always the same release. */
  release: string;
  /** The whole commit id. */
  commit: string;
  /** sha256 over the manifest. */
  tree: string;
  platform: string;
  node: string;
  /** Entity and control migrations: the newest it brings, and the newest breaking one it knows (0: none). */
  schema: Record<'control' | 'entity', { newest: number; breaking: number }>;
}

export interface Offered {
  /** The release is here, whole; nothing to upload. */
  complete: boolean;
  /** sha256 of the contents to send; the others are here, in other releases. */
  missing: string[];
  freeBytes: number;
}

export interface Limits {
  /** The gate: as many good answers in a row, within so long. */
  gate: { answers: number; seconds: number };
  /** A slot that is told to end has so long before it is killed. */
  stopSeconds: number;
  migrateSeconds: number;
  /** After the flip: so many answers in a row through the proxy must come from the new release, each within so long. */
  verify: { answers: number; seconds: number };
  watch: WatchLimits;
  /** Refuse to begin with less. */
  minFreeMegabytes: number;
}

/** After the flip the new slot is compared with the old one. Worse than this: back. */
export interface WatchLimits {
  seconds: number;
  /** Percentage points of 5xx answers above those of the old slot. */
  errorPoints: number;
  /** Times the mean duration of a tool call on the old slot. */
  latencyFactor: number;
  /** Fewer requests than this prove nothing about rate and latency. */
  minRequests: number;
}

export interface Activation {
  id: string;
  promote: boolean;
  /** This customer's part of customers.yaml. */
  customers: string;
  limits: Limits;
  /** Break a lock whose holder lives. */
  force?: boolean;
}

export interface Activated {
  /** Serves now; on a first deploy without a flip, what will. */
  live: Slot;
  /** The one that was asked for. */
  release: string;
  /** Served before, and serves still when nothing was promoted; undefined on a first deploy. */
  previous?: { slot: Slot; release: string };
  /** False after `--no-promote`: staged and proven in the idle slot. */
  promoted: boolean;
}

/** What `provision` wrote down of this machine: state/host.json. */
export interface HostFacts {
  customer: string;
  ports: Record<Slot | 'proxy', number>;
  supervisor: 'launchd' | 'systemd' | 'none';
}

export interface SlotState {
  /** Of the link; undefined before the first deploy. */
  release?: string;
  pid?: number;
  held: boolean;
  /** `GET /frame/ready` of it; undefined when nobody answers. */
  ready?: { status: number; body: Record<string, unknown> };
  /** It runs with an older shared/env than the one that is there. */
  oldEnv?: boolean;
  /** The last lines of its log, of one that shall run and is not ready. */
  log?: string[];
}

export interface Inspection {
  host: HostFacts;
  platform: string;
  /** Undefined when the link is missing or points nowhere. */
  live?: Slot;
  slots: Record<Slot, SlotState>;
  /** The release ids here, oldest first. */
  releases: string[];
  /** What answers on the proxy's port; undefined when nobody listens, status 0 when it does not answer in time. */
  proxy?: { status: number; slot?: string; release?: string };
  disk: { freeBytes: number; totalBytes: number };
  lock?: { by: string; verb: string; ageSeconds: number; alive: boolean };
  /** The newest last. */
  history: HistoryLine[];
  /** sha256 of what is there, for `status`: `customers`, `caddyfile`, `services`, `run-slot`, `units/<name>`. */
  files: Record<string, string | undefined>;
  /** Names in shared/env; never values. */
  envNames: string[];
}

/** state/history.ndjson: one line per verb, never rewritten. */
export interface HistoryLine {
  /** Of the verb that wrote it, so that one that was killed is written down once. */
  id?: string;
  at: string;
  by: string;
  /** A Command. */
  verb: string;
  /** What served when it began, and what was to serve. */
  from?: string;
  to?: string;
  /** What served when it ended. */
  live?: string;
  result: 'ok' | 'staged' | 'gate-failed' | 'reverted' | 'refused' | 'failed' | 'interrupted' | 'lock-broken';
  ms: number;
  reason?: string;
}

/** Everything that the machine shall be. Repeating it changes nothing. */
export interface Provisioning {
  customer: string;
  /** Undefined: as they are there, else the usual ones. */
  ports?: HostFacts['ports'];
  supervisor?: HostFacts['supervisor'];
  /** This customer's part of customers.yaml. */
  customers: string;
  /** The texts of proxy/Caddyfile and proxy/services.caddy. */
  proxy: { caddyfile: string; services: string };
  /** Variables for shared/env; all others that are there stay. Values never come back. */
  env: Record<string, string>;
  /** Role and databases; without `superuserUrl`, the machine's own socket and `port` are tried. */
  database: { superuserUrl?: string; port: number; role: string; databases: string[] };
  /** False leaves a proxy that runs alone; it has its old routes then. */
  restartProxy: boolean;
  /** Break a lock whose holder lives. */
  force?: boolean;
}

export interface Provisioned {
  host: HostFacts;
  /** Absolute, and who Frame is there. */
  home: string;
  user: string;
  /** One line per thing: `proxy/Caddyfile  written`, `role frame  created`. */
  done: string[];
  left: Chore[];
}

/** What a person must still do, and what to type for it. */
export interface Chore {
  sentence: string;
  commands: string[];
}
