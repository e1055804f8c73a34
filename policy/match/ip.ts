// IP addresses and CIDR blocks: parsed without allocation, compared as 32-bit words.

/** A block; IPv4 has one word, IPv6 four. Bits beyond `length` are kept but never looked at. */
export interface IpBlock {
  readonly version: 4 | 6;
  readonly words: readonly number[];
  /** Prefix length in bits. */
  readonly length: number;
}

/** An address that was read last, to be used at once: reading another one overwrites it. */
export interface IpAddress {
  /** 0: the text was no address. */
  version: 0 | 4 | 6;
  readonly words: Uint32Array;
}

const scratch: IpAddress = { version: 0, words: new Uint32Array(4) };
const mappedPrefix = '::ffff:';

/** Reads an address (RFC 4291 text, no zone, no brackets) into one shared object; `version` 0 when it is none. */
export function readIp(text: string): IpAddress {
  scratch.version = readIpv4(text, 0, text.length, 0) ? 4 : readIpv6(text) ? 6 : 0;
  return scratch;
}

/** The address of a socket as policies write it: a dual-stack socket shows an IPv4 peer as `::ffff:10.0.0.1`. */
export function plainPeerIp(address: string): string {
  if (!address.startsWith(mappedPrefix) || !address.includes('.')) return address;
  return address.slice(mappedPrefix.length);
}

/** Parses an address or a block; null when it is neither. Host bits may be set, as in `127.0.2.77/24`. */
export function parseIpBlock(value: string): IpBlock | null {
  const slash = value.indexOf('/');
  const address = readIp(slash === -1 ? value : value.slice(0, slash));
  if (address.version === 0) return null;
  const version = address.version;
  const bits = version === 4 ? 32 : 128;
  const words = [...address.words.subarray(0, bits / 32)];
  if (slash === -1) return { version, words, length: bits };
  const digits = value.slice(slash + 1);
  if (!/^(0|[1-9]\d{0,2})$/.test(digits) || Number(digits) > bits) return null;
  return { version, words, length: Number(digits) };
}

export function containsIp(block: IpBlock, address: IpAddress): boolean {
  if (block.version !== address.version) return false;
  let left = block.length;
  for (let i = 0; left > 0; i++, left -= 32) {
    const mask = left >= 32 ? -1 : -1 << (32 - left);
    if ((((block.words[i] ?? 0) ^ (address.words[i] ?? 0)) & mask) !== 0) return false;
  }
  return true;
}

/** Reads a dotted quad into one word; no leading zeros, as in inet_pton. */
function readIpv4(text: string, from: number, to: number, word: number): boolean {
  let parts = 0;
  let value = 0;
  let part = -1;
  for (let i = from; i < to; i++) {
    const digit = text.charCodeAt(i) - 48;
    if (digit >= 0 && digit <= 9) {
      if (part === 0) return false;
      part = part === -1 ? digit : part * 10 + digit;
      if (part > 255) return false;
    } else if (text.charCodeAt(i) === 46 && part !== -1 && parts < 3) {
      value = value * 256 + part;
      part = -1;
      parts++;
    } else {
      return false;
    }
  }
  if (parts !== 3 || part === -1) return false;
  scratch.words[word] = value * 256 + part;
  return true;
}

const groups = new Uint16Array(8);

/** Reads RFC 4291 section 2.2 text, its three forms. */
function readIpv6(text: string): boolean {
  let count = 0;
  let gap = -1;
  let at = 0;
  if (text.startsWith('::')) {
    gap = 0;
    at = 2;
  }
  while (at < text.length) {
    if (count === 8) return false;
    const colon = text.indexOf(':', at);
    const end = colon === -1 ? text.length : colon;
    if (colon === -1 && text.includes('.', at)) {
      if (count > 6 || !readIpv4(text, at, end, 3)) return false;
      groups[count++] = (scratch.words[3] ?? 0) >>> 16;
      groups[count++] = (scratch.words[3] ?? 0) & 0xffff;
      break;
    }
    const group = readGroup(text, at, end);
    if (group === -1) return false;
    groups[count++] = group;
    if (colon === -1) break;
    at = colon + 1;
    if (at === text.length) return false;
    if (text.charCodeAt(at) === 58) {
      if (gap !== -1) return false;
      gap = count;
      at++;
    }
  }
  return spread(count, gap);
}

/** One to four hexadecimal digits; -1 for anything else. */
function readGroup(text: string, from: number, to: number): number {
  if (to === from || to - from > 4) return -1;
  let value = 0;
  for (let i = from; i < to; i++) {
    const digit = hexDigit(text.charCodeAt(i));
    if (digit === -1) return -1;
    value = value * 16 + digit;
  }
  return value;
}

/** The value of a hexadecimal digit; -1 for any other character. */
export function hexDigit(code: number): number {
  if (code >= 48 && code <= 57) return code - 48;
  const lower = code | 32;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
}

/** Moves the groups after the gap to the end; false when their number is wrong. */
function spread(count: number, gap: number): boolean {
  if (gap === -1 ? count !== 8 : count > 7) return false;
  const head = gap === -1 ? 8 : gap;
  for (let i = 0; i < 4; i++) {
    scratch.words[i] = groupAt(2 * i, count, head) * 65_536 + groupAt(2 * i + 1, count, head);
  }
  return true;
}

function groupAt(place: number, count: number, head: number): number {
  if (place < head) return groups[place] ?? 0;
  const fromEnd = 8 - place;
  return count - head >= fromEnd ? (groups[count - fromEnd] ?? 0) : 0;
}
