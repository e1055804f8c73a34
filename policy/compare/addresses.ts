// For every combination of address blocks that some address lies in, one such address.
import { type IpBlock, parseIpBlock } from '../match/ip.ts';

/** IPv4 in IPv6: a socket shows such a peer as IPv4. */
const mapped = '::ffff:0:0/96';

/**
 * The first address of each stretch in which no block begins or ends, of both versions.
 * @param blocks as policies write them; those that are none count for nothing
 * @param peer of a socket, never IPv4 in IPv6
 */
export function sampleAddresses(blocks: readonly string[], peer: boolean): string[] {
  const all = [...blocks, ...(peer ? [mapped] : [])];
  const parsed = all.flatMap((text) => parseIpBlock(text) ?? []);
  const samples = ([4, 6] as const).flatMap((version) => {
    const bits = version === 4 ? 32n : 128n;
    const starts = new Set([0n]);
    for (const block of parsed) {
      if (block.version !== version) continue;
      const size = 1n << (bits - BigInt(block.length));
      const first = (valueOf(block) / size) * size;
      starts.add(first);
      starts.add(first + size);
    }
    return [...starts]
      .filter((start) => start < 1n << bits)
      .filter((start) => !(peer && version === 6 && start >> 32n === 0xffffn))
      .map((start) => (version === 4 ? v4Text(start) : v6Text(start)));
  });
  return samples;
}

function valueOf({ words }: IpBlock): bigint {
  return words.reduce((value, word) => (value << 32n) | BigInt(word >>> 0), 0n);
}

function v4Text(value: bigint): string {
  return [24n, 16n, 8n, 0n].map((shift) => String((value >> shift) & 255n)).join('.');
}

/** RFC 5952: the longest run of zero groups is `::`. */
function v6Text(value: bigint): string {
  const groups = Array.from({ length: 8 }, (_, i) =>
    ((value >> BigInt(112 - 16 * i)) & 0xffffn).toString(16),
  );
  const text = groups.join(':');
  const [longest] = [...text.matchAll(/(?:^|(?<=:))0(?::0)+(?=:|$)/g)].toSorted(
    (a, b) => b[0].length - a[0].length,
  );
  if (longest === undefined) return text;
  const before = text.slice(0, longest.index).replace(/:$/, '');
  const after = text.slice(longest.index + longest[0].length).replace(/^:/, '');
  return `${before}::${after}`;
}
