// May this be signed, and as what? Pure: from a proven identity and a parsed request to the plan of a certificate.
import { formatSpiffeId } from '#api/spiffe.ts';
import type { ParsedCsr } from './csr.ts';
import type { ProvenIdentity } from './identity/authenticator.ts';
import { Refusal } from './refusal.ts';

export interface LeafPlan {
  /** SPIFFE ID: the only URI of the certificate. */
  readonly uri: string;
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKeyInfo: Buffer;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

export interface SigningPolicy {
  readonly trustDomain: string;
  readonly lifeSecondsMax: number;
  /** `namespace/account` -> DNS names that its certificates get too, for servers whose clients know no SPIFFE IDs. */
  readonly servingNames: ReadonlyMap<string, readonly string[]>;
}

/** The life of whatever signs; a leaf never reaches out of it. */
export interface IssuerLife {
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** So that a peer whose clock is behind accepts a new certificate. Istio backdates as much. */
export const backdateMs = 120_000;

/** The certificate that this caller gets for this request. Throws Refusal. */
export function planLeaf(
  caller: ProvenIdentity,
  csr: ParsedCsr,
  askedSeconds: number | undefined,
  policy: SigningPolicy,
  issuer: IssuerLife,
  nowMs: number,
): LeafPlan {
  const uri = formatSpiffeId({ trustDomain: policy.trustDomain, ...caller });
  refuseOtherNames(csr, uri);
  return {
    uri,
    dnsNames: policy.servingNames.get(`${caller.namespace}/${caller.serviceAccount}`) ?? [],
    ipAddresses: [],
    publicKeyInfo: csr.publicKeyInfo,
    ...planLife(askedSeconds, policy.lifeSecondsMax, issuer, nowMs),
  };
}

/** min(asked, limit, the issuer's rest), in whole seconds, backdated. */
export function planLife(
  askedSeconds: number | undefined,
  lifeSecondsMax: number,
  issuer: IssuerLife,
  nowMs: number,
): IssuerLife {
  const asked = askedSeconds ?? lifeSecondsMax;
  if (!Number.isInteger(asked) || asked <= 0) {
    throw new Refusal('life-refused', 'lifeSeconds must be a whole number above 0, or left out');
  }
  if (issuer.notAfterMs - nowMs < 1000) {
    throw new Refusal('issuer-expired', 'the certificate of this CA has expired');
  }
  const seconds = Math.min(asked, lifeSecondsMax);
  return {
    notBeforeMs: Math.max(nowMs - backdateMs, issuer.notBeforeMs),
    notAfterMs: Math.min(nowMs + seconds * 1000, issuer.notAfterMs),
  };
}

/**
 * Names never come from the request; one that asks for others was made for somebody else, or hopes. Dropping them
 * silently would leave its maker wondering why peers refuse the certificate.
 */
function refuseOtherNames(csr: ParsedCsr, uri: string): void {
  const { uris, others, subject, asksForCa } = csr.requested;
  if (asksForCa) {
    throw new Refusal('csr-asks-for-ca', 'the request asks for a CA; workloads get leaves only');
  }
  const spiffeSubjects = subject.filter((text) => /^spiffe:/i.test(text));
  const other = [...uris, ...spiffeSubjects].find((asked) => asked !== uri) ?? others[0];
  if (other !== undefined) {
    const shown = other.slice(0, 200).replace(/[^\x20-\x7e]/g, '?');
    throw new Refusal(
      'csr-identity-other',
      `the request names ${shown}, the token proves ${uri}: leave names out of the request`,
    );
  }
}
