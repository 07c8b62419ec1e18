import { commandsWith } from './tiny-means.ts';

/** `frame …` as a process of its own, with tiny releases: frame-tiny.ts RELEASES COMMAND… */
const [releases = '', name = '', ...args] = process.argv.slice(2);
const commands = commandsWith(releases);
process.exitCode = await commands[name as keyof typeof commands].run(args, {
  env: process.env,
  cwd: process.cwd(),
  out: line => process.stdout.write(`${line}\n`),
  err: line => process.stderr.write(`${line}\n`),
  status: () => {},
  stdin: process.stdin,
  isTerminal: false,
  outIsTerminal: false,
});
