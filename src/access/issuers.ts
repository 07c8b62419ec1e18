import type { EntraTenant } from '../customers/customer.ts';

/** The addresses of an Entra tenant. They come from customers.yaml alone, never from a token. */
export function v2Issuer({ authority, tenantId }: EntraTenant): string {
  return `${authority}/${tenantId}/v2.0`;
}

/** Which token version the tenant signs under this name; undefined when it is not the tenant's. */
export function versionOfIssuer(tenant: EntraTenant, issuer: string): '1.0' | '2.0' | undefined {
  if (issuer === v2Issuer(tenant)) return '2.0';
  return v1Issuers(tenant).includes(issuer) ? '1.0' : undefined;
}

export function signingKeysUrl({ authority, tenantId }: EntraTenant): string {
  return `${authority}/${tenantId}/discovery/v2.0/keys`;
}

// Private

const PUBLIC_CLOUD = 'https://login.microsoftonline.com';

/** The public cloud signs v1 tokens as sts.windows.net only, other authorities in their own name as well. */
function v1Issuers({ authority, tenantId }: EntraTenant): readonly string[] {
  const sts = `https://sts.windows.net/${tenantId}/`;
  return authority === PUBLIC_CLOUD ? [sts] : [sts, `${authority}/${tenantId}/`];
}
