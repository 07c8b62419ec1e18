import { BlockList, isIP, isIPv4 } from 'node:net';
import { isLoopback } from '../../address.ts';
import { daysLeft, faultOf } from './certificate.ts';
import { NoAnswer, toNoAnswer } from './network.ts';
import type { Path } from './path.ts';
import { broken, type Finding, ok, skipped } from './walk.ts';

/** From the name to a server that proves to have it. */
export async function lookUpName({ network, origin }: Path): Promise<Finding> {
  const { hostname } = new URL(origin);
  if (isLoopback(hostname)) return skipped(`${hostname} is this machine.`);
  const addresses = await network.resolve(hostname).catch(toNoAnswer);
  if (addresses instanceof NoAnswer) {
    return addresses.code === 'ENOTFOUND'
      ? broken(
          `Nobody knows the name ${hostname}.`,
          `Make its DNS record: \`cloudflared tunnel route dns <tunnel> ${hostname}\`. Or the origin in customers.yaml has a slip, or this computer is offline.`,
        )
      : broken(`The name ${hostname} cannot be looked up: ${addresses.message}.`, "Look at this computer's network.");
  }
  return faultOfAddresses(hostname, addresses) ?? ok(`${hostname} is ${addresses.join(', ')}.`);
}

export async function openConnection({ network, origin }: Path): Promise<Finding> {
  const address = await network.reach(origin).catch(toNoAnswer);
  if (!(address instanceof NoAnswer)) return ok(`${address} takes connections.`);
  return broken(
    `Nobody takes the connection: ${address.message}.`,
    "If other sites can be reached from here: the DNS record leads to a machine that is off, or behind a firewall. The tunnel's record leads to Cloudflare, which always answers.",
  );
}

export async function lookAtCertificate({ network, origin }: Path, now: number): Promise<Finding> {
  const { hostname, protocol } = new URL(origin);
  if (protocol === 'http:') return skipped('http, on this machine.');
  const certificate = await network.handshake(origin).catch(toNoAnswer);
  if (certificate instanceof NoAnswer) return noHandshake(certificate, hostname);
  const fault = faultOf(certificate, hostname, now);
  if (fault) return broken(fault.seen, fault.mend);
  return ok(`For ${hostname}, ${daysLeft(certificate, now)} days left, and trusted.`);
}

// Private

/** Nobody on the internet can call these. */
const INSIDE = blockListOf(
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
  ['::1', 128],
  ['fc00::', 7],
  ['fe80::', 10],
);

function blockListOf(...networks: readonly [string, number][]): BlockList {
  const list = new BlockList();
  for (const [network, bits] of networks) list.addSubnet(network, bits, familyOf(network));
  return list;
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return isIPv4(address) ? 'ipv4' : 'ipv6';
}

/** claude.ai and others call from the internet, and by IPv4 only. */
function faultOfAddresses(hostname: string, addresses: readonly string[]): Finding | undefined {
  const inside = addresses.filter(address => INSIDE.check(address, familyOf(address)));
  if (inside.length > 0) {
    return broken(
      `${hostname} is ${inside.join(', ')}, which nobody on the internet can reach.`,
      `Route the name to the tunnel: \`cloudflared tunnel route dns <tunnel> ${hostname}\`. If only this network sees it like that, walk around it with --connect.`,
    );
  }
  if (isIP(hostname) !== 0 || addresses.some(isIPv4)) return undefined;
  return broken(
    `${hostname} has no IPv4 address (${addresses.join(', ')}), and claude.ai calls by IPv4 only.`,
    'Add an A record; names that Cloudflare answers for have one by themselves.',
  );
}

function noHandshake({ code, message }: NoAnswer, hostname: string): Finding {
  if (/ALERT_HANDSHAKE_FAILURE|UNRECOGNIZED_NAME/.test(code)) {
    return broken(
      `The server has no certificate for ${hostname}.`,
      `Cloudflare's own covers one level below the zone; a deeper name needs one of its own (SSL/TLS, Edge Certificates).`,
    );
  }
  if (/WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST/.test(code)) {
    return broken(
      'What answers there does not speak TLS.',
      'The origin is https: put Cloudflare, or TLS, in front of it.',
    );
  }
  return broken(
    `TLS does not come about: ${message}.`,
    'Look at who answers there; a firewall that reads along breaks TLS like this.',
  );
}
