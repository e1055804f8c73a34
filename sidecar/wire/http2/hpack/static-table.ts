// The static table of HPACK (RFC 7541 appendix A), as bytes and as an index of names.

/** Entry `i` has index `i + 1`. */
const entries: readonly (readonly [name: string, value: string])[] = [
  [':authority', ''],
  [':method', 'GET'],
  [':method', 'POST'],
  [':path', '/'],
  [':path', '/index.html'],
  [':scheme', 'http'],
  [':scheme', 'https'],
  [':status', '200'],
  [':status', '204'],
  [':status', '206'],
  [':status', '304'],
  [':status', '400'],
  [':status', '404'],
  [':status', '500'],
  ['accept-charset', ''],
  ['accept-encoding', 'gzip, deflate'],
  ['accept-language', ''],
  ['accept-ranges', ''],
  ['accept', ''],
  ['access-control-allow-origin', ''],
  ['age', ''],
  ['allow', ''],
  ['authorization', ''],
  ['cache-control', ''],
  ['content-disposition', ''],
  ['content-encoding', ''],
  ['content-language', ''],
  ['content-length', ''],
  ['content-location', ''],
  ['content-range', ''],
  ['content-type', ''],
  ['cookie', ''],
  ['date', ''],
  ['etag', ''],
  ['expect', ''],
  ['expires', ''],
  ['from', ''],
  ['host', ''],
  ['if-match', ''],
  ['if-modified-since', ''],
  ['if-none-match', ''],
  ['if-range', ''],
  ['if-unmodified-since', ''],
  ['last-modified', ''],
  ['link', ''],
  ['location', ''],
  ['max-forwards', ''],
  ['proxy-authenticate', ''],
  ['proxy-authorization', ''],
  ['range', ''],
  ['referer', ''],
  ['refresh', ''],
  ['retry-after', ''],
  ['server', ''],
  ['set-cookie', ''],
  ['strict-transport-security', ''],
  ['transfer-encoding', ''],
  ['user-agent', ''],
  ['vary', ''],
  ['via', ''],
  ['www-authenticate', ''],
];

export const staticCount = entries.length;

/** All names and values, one after the other. */
export const staticBytes: Buffer = Buffer.from(entries.map((pair) => pair.join('')).join(''));
/** `index` -> where its name begins; its value ends where the next one's name begins. */
export const staticNameFrom = new Uint16Array(staticCount + 2);
/** `index` -> where its name ends and its value begins. */
export const staticNameTo = new Uint16Array(staticCount + 2);

const indexByName = new Map<string, number>();
let at = 0;
entries.forEach(([name, value], i) => {
  staticNameFrom[i + 1] = at;
  staticNameTo[i + 1] = at + name.length;
  at += name.length + value.length;
  if (!indexByName.has(name)) indexByName.set(name, i + 1);
});
staticNameFrom[staticCount + 1] = at;

/** Every name, each once, with its first index. */
export function staticNames(): Iterable<readonly [name: string, index: number]> {
  return indexByName;
}
