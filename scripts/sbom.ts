/**
 * `npm run --silent sbom > frame.cdx.json`: all that goes to customers and was written by others, as CycloneDX 1.5, from
 * the lock file alone. The same lock file gives the same text. (`npm sbom --omit=dev` leaves out what a tool of ours uses
 * too.)
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

interface Locked {
  name?: string;
  version: string;
  integrity?: string;
  license?: string;
  dev?: boolean;
  optional?: boolean;
}

const lock = JSON.parse(readFileSync(join(import.meta.dirname, '../package-lock.json'), 'utf8')) as {
  packages: Record<string, Locked>;
};
const { '': frame, ...others } = lock.packages;
const components = Object.entries(others)
  .filter(([, { dev }]) => !dev)
  .map(([path, facts]) => toComponent(path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length), facts));

console.log(
  JSON.stringify(
    {
      bomFormat: 'CycloneDX',
      specVersion: '1.5',
      version: 1,
      metadata: { component: { type: 'application', name: frame?.name, version: frame?.version } },
      components,
    },
    null,
    2,
  ),
);

function toComponent(name: string, { version, integrity, license, optional }: Locked) {
  const purl = `pkg:npm/${name.replace('@', '%40')}@${version}`;
  const digest = integrity?.startsWith('sha512-') && Buffer.from(integrity.slice(7), 'base64').toString('hex');
  return {
    type: 'library',
    'bom-ref': purl,
    name,
    version,
    purl,
    scope: optional ? 'optional' : 'required',
    ...(license && { licenses: [{ expression: license }] }),
    ...(digest && { hashes: [{ alg: 'SHA-512', content: digest }] }),
  };
}
