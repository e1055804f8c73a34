// A 32-bit hash of text (MurmurHash3's mixing over UTF-16 units): the same in every sidecar, no secret.

const c1 = 0xcc9e2d51;
const c2 = 0x1b873593;

/** 0 to 2^32 - 1. Whoever knows the texts can choose them to collide: never for a table of keys. */
export function hashText(text: string, seed = 0): number {
  const { length } = text;
  const even = length & ~1;
  let hash = seed;
  for (let i = 0; i < even; i += 2) {
    hash ^= scramble(text.charCodeAt(i) | (text.charCodeAt(i + 1) << 16));
    hash = (hash << 13) | (hash >>> 19);
    hash = (Math.imul(hash, 5) + 0xe6546b64) | 0;
  }
  if (even < length) hash ^= scramble(text.charCodeAt(even));
  hash ^= length * 2;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function scramble(block: number): number {
  const mixed = Math.imul(block, c1);
  return Math.imul((mixed << 15) | (mixed >>> 17), c2);
}
