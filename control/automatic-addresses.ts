// Addresses for hosts of ServiceEntries that have none, so that connections of programs that look names up tell the hosts apart.
import type { ServiceEntry } from '#api/kinds/service-entry.ts';

/** Addresses of each host, by `namespace/host`. */
export type AutomaticAddresses = ReadonlyMap<string, readonly string[]>;

/** As in Istio: `"false"` on an entry keeps its hosts without. */
const label = 'networking.istio.io/enable-autoallocate-ip';
const blockSize = 65_536;
const none: readonly string[] = [];

/**
 * A function of the entries alone, so that all replicas agree: each host's place comes from a hash of its own name, and only
 * where an older one has that place it takes the next free one. So a new entry moves none, and one that goes moves at most
 * those that had to make way for it. A full block (65,024 hosts) leaves the youngest without.
 * @param entries oldest first
 */
export function allocateAddresses(entries: readonly ServiceEntry[]): AutomaticAddresses {
  const taken = new Set<number>();
  for (const { spec } of entries) {
    for (const address of spec.addresses) {
      const [a, b, c, d] = address.split('.');
      if (a === '240' && b === '240') taken.add(Number(c) * 256 + Number(d));
    }
  }
  const allocated = new Map<string, readonly string[]>();
  for (const entry of entries) {
    if (!wantsAddresses(entry)) continue;
    for (const host of entry.spec.hosts) {
      const key = keyOf(entry, host);
      if (host.startsWith('*') || allocated.has(key)) continue;
      const place = placeOf(key, taken);
      if (place === null) return allocated;
      taken.add(place);
      allocated.set(key, addressesAt(place));
    }
  }
  return allocated;
}

/** What was given to a host; none where nothing was. */
export function automaticAddressesOf(
  allocated: AutomaticAddresses,
  entry: ServiceEntry,
  host: string,
): readonly string[] {
  return wantsAddresses(entry) ? (allocated.get(keyOf(entry, host)) ?? none) : none;
}

/** With the resolution NONE a connection goes to the address that was called, which must be a real one. */
function wantsAddresses({ spec, metadata }: ServiceEntry): boolean {
  return (
    spec.addresses.length === 0 && spec.resolution !== 'NONE' && metadata.labels[label] !== 'false'
  );
}

/** Entries of one namespace that have a host in common share its address: they differ in their ports. */
function keyOf({ metadata }: ServiceEntry, host: string): string {
  return `${metadata.namespace}/${host.toLowerCase()}`;
}

/** Null: the block is full. */
function placeOf(key: string, taken: ReadonlySet<number>): number | null {
  const first = fnv1a(key) % blockSize;
  for (let i = 0; i < blockSize; i++) {
    const place = (first + i) % blockSize;
    // Some programs take an address that ends with .0 or .255 for that of a network.
    const last = place % 256;
    if (last !== 0 && last !== 255 && !taken.has(place)) return place;
  }
  return null;
}

function addressesAt(place: number): readonly string[] {
  return [`240.240.${place >> 8}.${place % 256}`, `2001:2::${place.toString(16)}`];
}

function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash;
}
