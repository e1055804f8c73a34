// Lengths of time as kubectl writes them: `42s`, `5m`, `3h`, `12d`.

const units = [
  { name: 'd', ms: 86_400_000, from: 2 },
  { name: 'h', ms: 3_600_000, from: 2 },
  { name: 'm', ms: 60_000, from: 2 },
  { name: 's', ms: 1000, from: 0 },
] as const;

/** Rounded down to the largest unit of which there are two; what is negative counts as none. */
export function formatAge(ms: number): string {
  const length = Math.max(0, ms);
  const unit = units.find((one) => length >= one.ms * one.from) ?? units[3];
  return `${Math.floor(length / unit.ms)}${unit.name}`;
}

/** Reads `60s`, `2m`, `1h`, `500ms`, `1m30s`; null for anything else, also for nothing. */
export function parseDurationMs(text: string): number | null {
  const [whole, h, m, s, ms] =
    /^(?:(\d{1,6})h)?(?:(\d{1,6})m(?!s))?(?:(\d{1,6})s)?(?:(\d{1,9})ms)?$/.exec(text) ?? [];
  if (whole === undefined || whole === '') return null;
  return (
    Number(h ?? 0) * 3_600_000 + Number(m ?? 0) * 60_000 + Number(s ?? 0) * 1000 + Number(ms ?? 0)
  );
}
