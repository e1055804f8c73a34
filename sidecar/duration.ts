// Go durations, as Istio writes its timeouts: `5s`, `1m30s`, `250ms`.

const UNIT_MS: Readonly<Record<string, number>> = {
  h: 3_600_000,
  m: 60_000,
  s: 1000,
  ms: 1,
  us: 1e-3,
  µs: 1e-3,
  ns: 1e-6,
};
const PART = /(\d+(?:\.\d+)?)(h|ms|m|s|us|µs|ns)/y;

/** Milliseconds; `otherwise` for text that is no duration. */
export function durationMs(text: string, otherwise: number): number {
  let total = 0;
  PART.lastIndex = 0;
  do {
    const match = PART.exec(text);
    if (match === null) return otherwise;
    total += Number(match[1]) * (UNIT_MS[match[2] ?? ''] ?? 0);
  } while (PART.lastIndex < text.length);
  return total;
}
