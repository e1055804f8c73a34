// Lists of header names as Istio's external authorizers write them: exact, `x-pre*`, `*-suf`.

/** A matcher of lower-case names, made once. */
export function compileHeaderNames(patterns: readonly string[]): (name: string) => boolean {
  const exact = new Set<string>();
  const prefixes: string[] = [];
  const suffixes: string[] = [];
  for (const pattern of patterns.map((text) => text.toLowerCase())) {
    if (pattern.startsWith('*')) suffixes.push(pattern.slice(1));
    else if (pattern.endsWith('*')) prefixes.push(pattern.slice(0, -1));
    else exact.add(pattern);
  }
  return (name) =>
    exact.has(name) ||
    prefixes.some((prefix) => name.startsWith(prefix)) ||
    suffixes.some((suffix) => name.endsWith(suffix));
}
