// Installs what package-lock.json asks for and is not there yet. Plain JavaScript for the Node that happens to be here
// (20 or newer): our own Node is among the things it installs.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const ownNode = join(root, 'node_modules/.bin/node');
const missing = findMissing();
if (missing.length > 0 || !existsSync(ownNode)) install();
if (!existsSync(ownNode)) {
  fail(
    `Frame brings its own Node for Linux (x64, arm64) and macOS (arm64), not for ${process.platform}-${process.arch}.`,
  );
}

/** Packages of the lock file that are not installed in that very version. npm leaves out optional ones that do not fit. */
function findMissing() {
  const installed = readPackages(join(root, 'node_modules/.package-lock.json'));
  return Object.entries(readPackages(join(root, 'package-lock.json')))
    .filter(([path, { optional }]) => path !== '' && !(optional && !installed[path]))
    .filter(([path, { version }]) => installed[path]?.version !== version || !existsSync(join(root, path)))
    .map(([path]) => path);
}

function readPackages(file) {
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')).packages : {};
}

function install() {
  console.error('Installing what is missing with npm ci (once; some 30 seconds) …');
  // Scripts of packages never run; engine warnings would only speak of the Node that we replace.
  const flags = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  const env = { ...process.env, PATH: pathOfOthers() };
  const { status, error } = spawnSync('npm', flags, { cwd: root, env, stdio: ['ignore', 'inherit', 'inherit'] });
  if (error || status !== 0)
    fail(`npm ci did not succeed${error ? `: ${error.message}` : ''}. Mend that and start again.`);
}

/** Without our own Node, which npm puts first: Debian's npm finds its libraries only by Debian's Node. */
function pathOfOthers() {
  const folders = (process.env.PATH ?? '').split(delimiter);
  return folders.filter(folder => folder !== dirname(ownNode)).join(delimiter);
}

function fail(sentence) {
  console.error(sentence);
  process.exit(1);
}
