// PROXY protocol, versions 1 and 2: the first bytes of a connection say on whose behalf it was made.
import { isIP, SocketAddress } from 'node:net';

export interface ProxiedAddresses {
  readonly from: { readonly host: string; readonly port: number };
  readonly to: { readonly host: string; readonly port: number };
}

const signature = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');

/** @param addresses null: a connection of our own, shared by the calls of a pool */
export function proxyHeader(version: 'v1' | 'v2', addresses: ProxiedAddresses | null): Buffer {
  const family = addresses === null ? 0 : familyOf(addresses);
  return version === 'v1' ? version1(family, addresses) : version2(family, addresses);
}

/** 4 or 6; 0: not said, or of two kinds. */
function familyOf({ from, to }: ProxiedAddresses): 0 | 4 | 6 {
  const family = isIP(from.host);
  if (family !== isIP(to.host)) return 0;
  if (family === 4) return 4;
  return family === 6 ? 6 : 0;
}

function version1(family: 0 | 4 | 6, addresses: ProxiedAddresses | null): Buffer {
  if (family === 0 || addresses === null) return Buffer.from('PROXY UNKNOWN\r\n');
  const { from, to } = addresses;
  return Buffer.from(
    `PROXY TCP${family} ${from.host} ${to.host} ${from.port} ${to.port}\r\n`,
    'latin1',
  );
}

function version2(family: 0 | 4 | 6, addresses: ProxiedAddresses | null): Buffer {
  // 0x20: LOCAL, 0x21: PROXY; then family and STREAM, and the length of what follows.
  if (family === 0 || addresses === null) {
    return Buffer.concat([signature, Buffer.from([0x20, 0, 0, 0])]);
  }
  const { from, to } = addresses;
  const ports = Buffer.alloc(4);
  ports.writeUInt16BE(from.port, 0);
  ports.writeUInt16BE(to.port, 2);
  const body = Buffer.concat([addressBytes(from.host), addressBytes(to.host), ports]);
  const head = Buffer.from([0x21, family === 4 ? 0x11 : 0x21, 0, body.length]);
  return Buffer.concat([signature, head, body]);
}

function addressBytes(host: string): Buffer {
  if (isIP(host) === 4) return Buffer.from(host.split('.').map(Number));
  // Node writes any notation in its shortest form, which has at most one `::`.
  const { address } = new SocketAddress({ address: host, family: 'ipv6' });
  const [head = '', tail] = withoutDots(address).split('::');
  const before = groupsOf(head);
  const after = groupsOf(tail ?? '');
  const gap = Array.from({ length: 8 - before.length - after.length }, () => 0);
  const bytes = Buffer.alloc(16);
  [...before, ...gap, ...after].forEach((group, i) => bytes.writeUInt16BE(group, i * 2));
  return bytes;
}

function groupsOf(text: string): number[] {
  return text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16));
}

/** `::ffff:10.0.0.1` with its last part as two groups. */
function withoutDots(address: string): string {
  return address.replace(
    /(\d+)\.(\d+)\.(\d+)\.(\d+)$/,
    (_all, a: string, b: string, c: string, d: string) => `${hexOf(a, b)}:${hexOf(c, d)}`,
  );
}

function hexOf(high: string, low: string): string {
  return (Number(high) * 256 + Number(low)).toString(16);
}
