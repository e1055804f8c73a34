// Where we are deliberately stricter than Envoy: the one list of it. Replays leave these calls out of the count.
import { hostsOf, type RecordedCall } from './judge/call.ts';

export interface Stricter {
  readonly name: string;
  readonly reason: string;
  /** The call is refused here and may be let pass by Envoy. */
  applies(call: RecordedCall): boolean;
}

/** Refusals only: nothing that Envoy refuses is let pass. */
export const stricter: readonly Stricter[] = [
  {
    name: 'two Host headers',
    reason:
      'RFC 9112, section 3.2 demands 400; Envoy joins them to "a,b", which passes a DENY on either',
    applies: (call) => call.kind !== 'tcp' && hostsOf(call).length > 1,
  },
  {
    name: 'user information in an absolute target',
    reason: 'RFC 9110, section 4.2.4 wants it treated as an error; Envoy cuts it',
    applies: (call) => call.kind !== 'tcp' && /^https?:\/\/[^/?#]*@/i.test(call.path ?? ''),
  },
  {
    name: 'tokens with critical extensions',
    reason:
      'RFC 7515, section 4.1.11 demands a refusal where `crit` is not understood; Envoy ignores it',
    applies: (call) => textsOf(call).some(holdsCriticalToken),
  },
];

function textsOf(call: RecordedCall): string[] {
  return [call.path ?? '', ...(call.headers ?? []).map(([, value]) => value)];
}

/** Every header of a token begins with `{"`, which is `eyJ` in base64url. */
function holdsCriticalToken(text: string): boolean {
  return [...text.matchAll(/eyJ[\w-]+(?=\.)/g)].some(([header]) =>
    Buffer.from(header, 'base64url').toString('utf8').includes('"crit"'),
  );
}
