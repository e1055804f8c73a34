// Which addresses a key set may not be fetched from: a policy's author must not send control to places only it can reach.
import { lookup, type LookupAddress } from 'node:dns';
import { BlockList, isIP, type LookupFunction } from 'node:net';

/** Link-local and the metadata services of clouds, which hand out credentials to whoever asks from inside. */
export const deniedByDefault: readonly string[] = [
  '0.0.0.0/8',
  '169.254.0.0/16',
  '100.100.100.200/32',
  '168.63.129.16/32',
  '192.0.0.192/32',
  '224.0.0.0/4',
  '::/128',
  'fe80::/10',
  'fd00:ec2::254/128',
  'fd20:ce::254/128',
  'ff00::/8',
];

export class AddressDenied extends Error {
  override readonly name = 'AddressDenied';
}

export class AddressGuard {
  readonly #denied = new BlockList();

  /** @param denied CIDRs; throws on one that is none */
  constructor(denied: readonly string[]) {
    for (const cidr of denied) {
      const { address, prefix, family } = parseCidr(cidr);
      this.#denied.addSubnet(address, prefix, family);
    }
  }

  /** Whether an IP address is denied; an IPv4 address written as IPv6 counts as itself. */
  denies(address: string): boolean {
    const family = isIP(address);
    return family === 0 || this.#denied.check(address, family === 4 ? 'ipv4' : 'ipv6');
  }

  /** Throws AddressDenied for a URL whose host is a denied address; names are checked when they are resolved. */
  checkHost(url: URL): void {
    const host = url.hostname.replace(/^\[|\]$/g, '');
    if (isIP(host) !== 0 && this.denies(host)) throw denial(url.hostname, host);
  }

  /** As dns.lookup, for `net.connect`: what is connected to is what was checked, whatever DNS says next. */
  readonly lookup: LookupFunction = (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, found: LookupAddress[]) => {
      if (error !== null) {
        callback(error, '');
        return;
      }
      const allowed = found.filter(({ address }) => !this.denies(address));
      const [first] = allowed;
      if (first === undefined) {
        callback(denial(hostname, found.map(({ address }) => address).join(', ')), '');
      } else if (options.all === true) callback(null, allowed);
      else callback(null, first.address, first.family);
    });
  };
}

/** `10.0.0.0/8`, `::1`. Throws on anything else. */
export function parseCidr(text: string): {
  address: string;
  prefix: number;
  family: 'ipv4' | 'ipv6';
} {
  const [address = '', length, ...rest] = text.split('/');
  const family = isIP(address);
  const bits = family === 4 ? 32 : 128;
  const prefix = length === undefined ? bits : /^\d{1,3}$/.test(length) ? Number(length) : -1;
  if (family === 0 || prefix < 0 || prefix > bits || rest.length > 0) {
    throw new Error(`"${text}" is no address or CIDR`);
  }
  return { address, prefix, family: family === 4 ? 'ipv4' : 'ipv6' };
}

function denial(host: string, address: string): AddressDenied {
  return new AddressDenied(`${host} is at ${address}, where keys may not be fetched from`);
}
