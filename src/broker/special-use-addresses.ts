import { BlockList, isIP } from 'node:net';

/**
 * Whether an address belongs to somebody on the public internet. What RFC 6890 and the IANA registries behind it set
 * aside does not: our own machine, our network, the tailnet, the clouds' metadata services, and every IPv6 form that
 * carries an IPv4 address inside.
 */
export function isPublicAddress(address: string): boolean {
  switch (isIP(address)) {
    case 4:
      return !SPECIAL.check(address, 'ipv4');
    case 6:
      return !address.includes('%') && GLOBAL.check(address, 'ipv6') && !SPECIAL.check(address, 'ipv6');
    default:
      return false;
  }
}

// Private

const SPECIAL = listOf([
  '0.0.0.0/8', // this network
  '10.0.0.0/8', // private
  '100.64.0.0/10', // carrier-grade NAT, and tailnets
  '127.0.0.0/8', // loopback
  '169.254.0.0/16', // link-local, and the clouds' metadata services
  '172.16.0.0/12', // private
  '192.0.0.0/24', // protocol assignments
  '192.0.2.0/24', // documentation
  '192.31.196.0/24', // AS112
  '192.52.193.0/24', // multicast relays
  '192.88.99.0/24', // 6to4 relays
  '192.168.0.0/16', // private
  '192.175.48.0/24', // AS112
  '198.18.0.0/15', // benchmarks
  '198.51.100.0/24', // documentation
  '203.0.113.0/24', // documentation
  '224.0.0.0/4', // multicast
  '240.0.0.0/4', // reserved, and broadcast
  '2001::/23', // protocol assignments: Teredo, benchmarks, ORCHID
  '2001:db8::/32', // documentation
  '2002::/16', // 6to4: an IPv4 address inside
  '2620:4f:8000::/48', // AS112
  '3fff::/20', // documentation
]);

/**
 * Of IPv6 only this has been given to anybody. Outside are `::1`, `::ffff:0:0/96` (mapped), `64:ff9b::/96` and
 * `64:ff9b:1::/48` (NAT64), `fc00::/7` (unique local), `fe80::/10` (link-local) and `ff00::/8` (multicast).
 */
const GLOBAL = listOf(['2000::/3']);

function listOf(ranges: readonly string[]): BlockList {
  const list = new BlockList();
  for (const range of ranges) {
    const [network = '', bits] = range.split('/');
    list.addSubnet(network, Number(bits), isIP(network) === 6 ? 'ipv6' : 'ipv4');
  }
  return list;
}
