// Inline JSON web key sets: whether a text is one, as far as can be told without reading the keys.

/**
 * What is wrong with a key set, or null. A single key counts as a set of one, as for Istio's
 * parser.
 */
export function keySetFault(text: string): string | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return `it is not JSON: ${(error as Error).message}`;
  }
  if (!isObject(value)) return 'it is not a JSON object';
  const keys = 'keys' in value ? value['keys'] : [value];
  if (!Array.isArray(keys)) return '"keys" is not a list';
  for (const [i, key] of keys.entries()) {
    const fault = keyFault(key);
    if (fault !== null) return `key ${i}: ${fault}`;
  }
  return null;
}

/** The members that each type of key must have (RFC 7518 section 6, RFC 8037). */
const members: Readonly<Record<string, readonly string[]>> = {
  RSA: ['n', 'e'],
  EC: ['crv', 'x', 'y'],
  OKP: ['crv', 'x'],
  oct: ['k'],
};

function keyFault(key: unknown): string | null {
  if (!isObject(key)) return 'it is not a JSON object';
  const type = key['kty'];
  if (typeof type !== 'string' || !Object.hasOwn(members, type)) {
    return `"kty" is ${JSON.stringify(type) ?? 'missing'}, not one of RSA, EC, OKP, oct`;
  }
  for (const member of members[type] ?? []) {
    const value = key[member];
    if (typeof value !== 'string' || value === '') return `"${member}" is missing`;
  }
  return null;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
