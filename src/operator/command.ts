import { isAbsolute, relative } from 'node:path';
import { type ParseArgsOptionsConfig, parseArgs } from 'node:util';
import type { Flags } from '../config/variables.ts';
import { orDidYouMean } from '../did-you-mean.ts';
import { formatMistake, type Mistake, WrongConfiguration } from '../errors.ts';

/** What a command of `frame` is. It parses, calls and prints; it does not decide what the work is. */
export interface Command {
  /** Shown for --help and after wrong usage. */
  usage: string;
  /** Resolves to the exit code. */
  run(args: string[], io: Io): Promise<number>;
}

/** Everything a command may touch of the process that runs it. */
export interface Io {
  env: NodeJS.ProcessEnv;
  cwd: string;
  out(line: string): void;
  err(line: string): void;
  /** Replaces the last line of a terminal; elsewhere it says nothing. Empty text clears it. */
  status(text: string): void;
  stdin: NodeJS.ReadableStream;
  isTerminal: boolean;
  /** For colours: `out` may go elsewhere than `err`. */
  outIsTerminal?: boolean;
}

export const EXIT = { ok: 0, failed: 1, wrong: 2, gateFailed: 20, reverted: 21, locked: 75 } as const;

export interface CommandParts<O extends ParseArgsOptionsConfig> {
  usage: string;
  /** Besides those that every command has. */
  options: O;
  /** How many words may stand beside the options. Default: none. */
  words?: { least: number; most: number };
  run(given: Given<O>, io: Io): Promise<number>;
}

export interface Given<O extends ParseArgsOptionsConfig> {
  words: string[];
  values: ReturnType<typeof parse<O>>['values'];
  /** For readSettings. */
  flags: Flags;
  isJson: boolean;
}

/** Wrong usage and wrong configuration end the same way for every command: said on stderr, exit code 2. */
export function defineCommand<const O extends ParseArgsOptionsConfig>(parts: CommandParts<O>): Command {
  const usage = `${parts.usage}\n\n${COMMON_USAGE}`;
  return {
    usage,
    async run(args, io) {
      if (args.includes('--help') || args.includes('-h')) {
        io.out(usage);
        return EXIT.ok;
      }
      try {
        return await parts.run(readArguments(args, parts), io);
      } catch (error) {
        if (error instanceof WrongConfiguration) printMistakes(error.mistakes, io);
        else if (error instanceof WrongUsage) io.err(`${error.message}\n\n${usage}`);
        else throw error;
        return EXIT.wrong;
      }
    },
  };
}

/** Thrown by a command for words that make no sense together; the usage is shown after the message. */
export class WrongUsage extends Error {
  override readonly name = 'WrongUsage';
}

/** One line each on stderr, files as seen from the current folder. */
export function printMistakes(mistakes: readonly Mistake[], { cwd, err }: Io): void {
  for (const mistake of mistakes) err(formatMistake(fromFolder(mistake, cwd)));
}

/** `file` as a person in the folder `cwd` would write it; names of variables and flags stay as they are. */
export function fromFolder(mistake: Mistake, cwd: string): Mistake {
  return isAbsolute(mistake.file) ? { ...mistake, file: relative(cwd, mistake.file) } : mistake;
}

// Private

const COMMON_OPTIONS = {
  config: { type: 'string' },
  customers: { type: 'string' },
  customer: { type: 'string' },
  data: { type: 'string' },
  listen: { type: 'string' },
  origin: { type: 'string' },
  slot: { type: 'string' },
  log: { type: 'string' },
  json: { type: 'boolean' },
} as const;

const COMMON_USAGE = `Every command also takes (each wins over the environment variable FRAME_… of the same name)
  --config FOLDER     gateway.yaml, roles.yaml and deploy.yaml; default: config
  --customers FILE    default: customers.yaml
  --customer ID       this customer only
  --data FOLDER       embedded data and local state; default: .frame
  --listen HOST:PORT  default: 127.0.0.1:3710
  --origin URL        public origin
  --slot SLOT         blue or green
  --log LEVEL         debug, info, warn, error or silent
  --json              data as JSON
  --help`;

type CommonValues = ReturnType<typeof parse<Record<never, never>>>['values'];

function readArguments<O extends ParseArgsOptionsConfig>(args: string[], parts: CommandParts<O>): Given<O> {
  const { values, positionals: words } = parse(args, parts.options);
  const { least, most } = parts.words ?? { least: 0, most: 0 };
  if (words.length < least) {
    const missing = wordsIn(parts.usage)[words.length];
    throw new WrongUsage(`A word is missing${missing === undefined ? '' : `: ${missing}`}.`);
  }
  if (words.length > most) throw new WrongUsage(`\`${words[most]}\` is one word too many.`);
  const { config, customers, customer, data, listen, origin, slot, log, json = false }: CommonValues = values;
  return { words, values, flags: { config, customers, customer, data, listen, origin, slot, log }, isJson: json };
}

/** Those that must be there, as the usage calls them; none where a verb comes first. */
function wordsIn(usage: string): string[] {
  const [, words = ''] = /^Usage: frame \w+((?: <\S+)+)/.exec(usage) ?? [];
  return words.split(' ').slice(1);
}

function parse<O extends ParseArgsOptionsConfig>(args: string[], options: O) {
  try {
    return parseArgs({ args, options: { ...options, ...COMMON_OPTIONS }, allowPositionals: true, strict: true });
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    const [sentence = ''] = error.message.split('. ');
    const unknown = /^Unknown option '(-[^']*)'/.exec(sentence)?.[1] ?? '';
    const known = Object.keys({ ...options, ...COMMON_OPTIONS }).map(name => `--${name}`);
    throw new WrongUsage(`${sentence}${orDidYouMean(unknown, known)}`);
  }
}
