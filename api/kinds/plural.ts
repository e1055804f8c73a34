// What the API calls the collection of a kind.

/** `authorizationpolicies`, `serviceentries`, `gateways`. */
export function pluralOf(kind: string): string {
  const word = kind.toLowerCase();
  return word.endsWith('y') && !/[aeiou]y$/.test(word) ? `${word.slice(0, -1)}ies` : `${word}s`;
}
