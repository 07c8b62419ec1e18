/** What a server shows of itself before anybody speaks to it, and whether programs will take it. Words only. */
export interface Certificate {
  /** For whom it is, as it says. */
  names: string;
  isForName: boolean;
  /** Milliseconds since 1970. */
  validFrom: number;
  validTo: number;
  /** Why nobody vouches for it: a code of OpenSSL or Node. */
  chainFault: string | undefined;
}

export interface CertificateFault {
  seen: string;
  mend: string;
}

/** What programs will not accept about it; undefined when they take it. */
export function faultOf(certificate: Certificate, hostname: string, now: number): CertificateFault | undefined {
  const { names, isForName, validFrom, validTo, chainFault } = certificate;
  if (!isForName) {
    return {
      seen: `The certificate is for ${names}, not for ${hostname}.`,
      mend: `Give the server a certificate for ${hostname}. Cloudflare's own covers one level below the zone; a deeper name needs one of its own (SSL/TLS, Edge Certificates). Or the DNS record leads to somebody else's server.`,
    };
  }
  if (validTo <= now) {
    return {
      seen: `The certificate ended on ${day(validTo)}.`,
      mend: 'Renew it. With Cloudflare in front that is its doing: SSL/TLS, Edge Certificates says why it did not happen.',
    };
  }
  if (validFrom > now) {
    return {
      seen: `The certificate begins on ${day(validFrom)} only.`,
      mend: "Set this computer's clock; if that is right, have the certificate made again.",
    };
  }
  return chainFault === undefined ? undefined : { seen: chainSentence(chainFault), mend: CHAIN_MEND };
}

/** Whole days until it ends; negative when it has. */
export function daysLeft({ validTo }: Certificate, now: number): number {
  return Math.floor((validTo - now) / DAY_MS);
}

/** `2026-11-20` */
export function day(time: number): string {
  return new Date(time).toISOString().slice(0, 10);
}

// Private

const DAY_MS = 86_400_000;

const CHAIN_MEND =
  'Let Cloudflare answer for the name (orange cloud), or give the server a certificate of a public authority together with those between. If other sites look like this from here too, something on this network reads along.';

function chainSentence(fault: string): string {
  switch (fault) {
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
      return 'The server signed its certificate itself, so no program trusts it.';
    case 'SELF_SIGNED_CERT_IN_CHAIN':
      return 'The certificate comes from an authority that programs do not know.';
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
      return 'Nobody whom programs know vouches for the certificate: the server does not send those between, or its authority is unknown.';
    case 'CERT_HAS_EXPIRED':
      return 'A certificate above the one of the server has ended.';
    default:
      return `The certificate cannot be trusted (${fault}).`;
  }
}
