// Headers that are between two neighbours only, and go before any filter looks (RFC 9110, section 7.6.1).

export type HeaderLine = readonly [name: string, value: string];

export interface EndToEnd {
  readonly lines: readonly HeaderLine[];
  /** The lower-case value of `Upgrade` when `Connection` names it, else ''. */
  readonly upgrade: string;
}

/**
 * Cuts hop-by-hop headers and what `Connection` names, as Envoy's connection manager does.
 * @param lines names in any case, values trimmed
 * @returns null when `Connection` names what it must not: the request is malformed
 */
export function cutHopByHop(lines: readonly HeaderLine[]): EndToEnd | null {
  const named = namedByConnection(lines);
  if (named.size >= namedMax) return null;
  for (const name of named) if (name.startsWith(':') || protectedNames.has(name)) return null;
  const upgrade = named.has('upgrade') ? valueOf(lines, 'upgrade').toLowerCase() : '';
  const kept = lines.filter(([name, value]) => {
    const lower = name.toLowerCase();
    if (lower === 'te') return value.toLowerCase() === 'trailers';
    if (lower === 'connection' || lower === 'upgrade') return upgrade !== '';
    return !hopByHop.has(lower) && !named.has(lower);
  });
  return { lines: kept, upgrade };
}

/** Envoy takes fewer than ten. */
const namedMax = 10;
/** Whoever could have these cut would hide where a request comes from. */
const protectedNames = new Set(['x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto']);
const hopByHop = new Set(['keep-alive', 'proxy-connection', 'transfer-encoding']);

function namedByConnection(lines: readonly HeaderLine[]): Set<string> {
  const named = new Set<string>();
  for (const [name, value] of lines) {
    if (name.toLowerCase() !== 'connection') continue;
    for (const token of value.split(',')) {
      const text = token.trim().toLowerCase();
      if (text !== '') named.add(text);
    }
  }
  return named;
}

function valueOf(lines: readonly HeaderLine[], wanted: string): string {
  return lines.find(([name]) => name.toLowerCase() === wanted)?.[1] ?? '';
}
