// Claims as header values, for outputClaimToHeaders.

/**
 * The text of a claim, as Envoy writes it: strings as they are, whole numbers in digits, others with six decimals,
 * booleans in words, lists and objects as JSON in base64. '' for null, a missing claim, and for what no header may
 * carry.
 * @param name dots go into objects: `nested.key`
 * @returns UTF-8 bytes as latin-1, which is what header values are
 */
export function claimText(claims: Readonly<Record<string, unknown>>, name: string): string {
  const text = format(find(claims, name));
  if (unfit.test(text)) return '';
  return Buffer.from(text, 'utf8').toString('latin1');
}

// oxlint-disable-next-line no-control-regex -- a line end in a claim would be a header of its own
const unfit = /[\0-\u0008\n-\u001F\u007F]/;

function find(claims: Readonly<Record<string, unknown>>, name: string): unknown {
  let at: unknown = claims;
  for (const key of name.split('.')) {
    if (typeof at !== 'object' || at === null || Array.isArray(at)) return undefined;
    if (!Object.hasOwn(at, key)) return undefined;
    at = (at as Readonly<Record<string, unknown>>)[key];
  }
  return at;
}

function format(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return value;
    case 'boolean':
      return value ? 'true' : 'false';
    case 'number':
      return Number.isInteger(value) && value >= 0 && value < 2 ** 64
        ? BigInt(value).toString()
        : value.toFixed(6);
    case 'object':
      return value === null ? '' : Buffer.from(JSON.stringify(value)).toString('base64');
    default:
      return '';
  }
}
