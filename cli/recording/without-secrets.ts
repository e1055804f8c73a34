// What a recording must never hold, whatever the sidecar that tells of a call lets through.
import type { CallRecord } from '#api/call-record.ts';
import { redacted, secretHeadersOf, withoutQueryValues } from '#sidecar/observe/secrets.ts';

const isUsual = secretHeadersOf(null);
/** A JSON web token, or the word before a credential. */
const credential = /\beyJ[\w-]{8,}\.|^(?:basic|bearer|negotiate|digest)\s/i;

/** Values of credentials replaced by `(redacted)`, of queries by `…`. */
export function withoutSecrets(call: CallRecord): CallRecord {
  const path = withoutQueryValues(call.path);
  if (call.facts === undefined) return { ...call, path };
  const headers = call.facts.headers.map(([name, value]): [string, string] => [
    name,
    isUsual(name) || credential.test(value) ? redacted : plain(name, value),
  ]);
  return { ...call, path, facts: { ...call.facts, headers } };
}

/** The target of a call stands in some headers too. */
function plain(name: string, value: string): string {
  return name === ':path' || name === 'referer' || name.includes('original-path')
    ? withoutQueryValues(value)
    : value;
}
