// Addresses for hosts of ServiceEntries that have none, so that connections of programs that look names up tell the hosts apart.
import type { ServiceEntry } from '#api/kinds/service-entry.ts';

/** Addresses of each host, by `namespace/host`. */
export type AutomaticAddresses = ReadonlyMap<string, readonly string[]>;

/** As in Istio: `"false"` on an entry keeps its hosts without. */
const label = 'networking.istio.io/enable-autoallocate-ip';
const blockSize = 65_536;
const none: readonly string[] = [];
/** Holds a place that somebody has written: no host's key. */
const written = '';

/**
 * A function of the entries alone, so that all replicas agree, and one that replays them: each host's place comes from a
 * hash of its own name, and only where that is taken it is the next free one; an address that an entry writes is taken from
 * the host that has it, which goes to the next free one. So a new entry moves nobody but whose address it writes, and one
 * that goes moves at most those that had to make way for it. A full block (65,024 hosts) leaves the youngest without.
 * @param entries oldest first
 */
export function allocateAddresses(entries: readonly ServiceEntry[]): AutomaticAddresses {
  const holders = new Map<number, string>();
  const places = new Map<string, number>();
  let isFull = false;
  const settle = (key: string): void => {
    places.delete(key);
    // What is taken stays taken: nobody need search a full block again.
    const place = isFull ? null : placeOf(key, holders);
    if (place === null) {
      isFull = true;
      return;
    }
    holders.set(place, key);
    places.set(key, place);
  };
  for (const entry of entries) {
    for (const place of entry.spec.addresses.map(placeWritten)) {
      if (place === null) continue;
      const holder = holders.get(place) ?? written;
      holders.set(place, written);
      if (holder !== written) settle(holder);
    }
    if (!wantsAddresses(entry)) continue;
    for (const host of entry.spec.hosts) {
      const key = keyOf(entry, host);
      if (!host.startsWith('*') && !places.has(key)) settle(key);
    }
  }
  return new Map([...places].map(([key, place]) => [key, addressesAt(place)]));
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
function placeOf(key: string, holders: ReadonlyMap<number, string>): number | null {
  const first = fnv1a(key) % blockSize;
  for (let i = 0; i < blockSize; i++) {
    const place = (first + i) % blockSize;
    // Some programs take an address that ends with .0 or .255 for that of a network.
    const last = place % 256;
    if (last !== 0 && last !== 255 && !holders.has(place)) return place;
  }
  return null;
}

/** Null: it is in neither block, or a range: of what covers an address, the narrowest counts. */
function placeWritten(address: string): number | null {
  const v4 = /^240\.240\.(\d+)\.(\d+)(?:\/32)?$/.exec(address);
  if (v4 !== null) return Number(v4[1]) * 256 + Number(v4[2]);
  const v6 = /^2001:0{0,3}2::([\da-f]{1,4})(?:\/128)?$/i.exec(address);
  return v6 === null ? null : Number.parseInt(v6[1] ?? '', 16);
}

function addressesAt(place: number): readonly string[] {
  return [`240.240.${place >> 8}.${place % 256}`, `2001:2::${place.toString(16)}`];
}

function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash;
}
