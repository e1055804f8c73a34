// One signing call, without its transport: caller proven, rate kept, request weighed, leaf signed, line audited.
import { createHash } from 'node:crypto';
import type { SigningReply } from '#api/signing.ts';
import { formatSpiffeId } from '#api/spiffe.ts';
import type { Clock } from '#runtime/clock.ts';
import type { Log } from '#runtime/log.ts';
import type { Audit, AuditEntry } from './audit.ts';
import { planLeaf, type SigningPolicy } from './authority.ts';
import { parseCsr } from './csr.ts';
import type { Authenticator } from './identity/authenticator.ts';
import { signLeaf } from './leaf.ts';
import type { Limit } from './limit.ts';
import type { CaMetrics } from './metrics.ts';
import { Refusal } from './refusal.ts';
import type { Roots } from './roots.ts';

export interface SigningDependencies {
  readonly authenticator: Authenticator;
  readonly limit: Limit;
  readonly roots: Roots;
  readonly policy: SigningPolicy;
  readonly audit: Audit;
  readonly metrics: CaMetrics;
  readonly clock: Clock;
  readonly log: Log;
}

export interface SigningCall {
  /** '' where the caller sent none. */
  readonly bearer: string;
  /** JSON of a SigningRequest. */
  readonly body: string;
  /** Address of the caller's connection. */
  readonly caller: string;
}

/** The signing of certificates: resolves with the reply, rejects with Refusal. */
export function createSigning(
  dependencies: SigningDependencies,
): (call: SigningCall) => Promise<SigningReply> {
  const { authenticator, limit, roots, policy, metrics, clock } = dependencies;
  return async (call) => {
    const startMs = performance.now();
    if (call.bearer === '')
      throw new Refusal('token-missing', 'authorization: Bearer TOKEN is wanted');
    const caller = await authenticator.authenticate(call.bearer);
    const identity = formatSpiffeId({ trustDomain: policy.trustDomain, ...caller });
    const waitMs = limit.take(identity);
    if (waitMs > 0) {
      throw new Refusal('rate-limited', `too many certificates; come back in ${waitMs} ms`, waitMs);
    }
    const { csr: csrPem, lifeSeconds } = parseRequest(call.body);
    const csr = parseCsr(csrPem);
    const nowMs = clock.now();
    const { issuer, chainPem, trustBundlePem } = roots.current();
    const plan = planLeaf(caller, csr, lifeSeconds, policy, issuer, nowMs);
    const leaf = signLeaf(issuer, plan);
    const notAfter = new Date(plan.notAfterMs).toISOString();
    writeAudit(dependencies, {
      time: new Date(nowMs).toISOString(),
      identity,
      pod: caller.pod,
      podUid: caller.podUid,
      serial: leaf.serial,
      notAfter,
      caller: call.caller,
      keyFingerprint: createHash('sha256').update(csr.publicKeyInfo).digest('hex'),
      issuer: issuer.id,
    });
    metrics.issued((performance.now() - startMs) / 1000);
    return { chain: leaf.pem + chainPem, trustBundle: trustBundlePem, identity, notAfter };
  };
}

function parseRequest(body: string): { csr: string; lifeSeconds: number | undefined } {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    throw new Refusal(
      'request-malformed',
      'the body is not JSON: {"csr": "-----BEGIN…"} is wanted',
    );
  }
  const { csr, lifeSeconds } = (value ?? {}) as { csr?: unknown; lifeSeconds?: unknown };
  if (typeof csr !== 'string') {
    throw new Refusal('request-malformed', '"csr" is missing: a PEM text is wanted');
  }
  if (lifeSeconds !== undefined && typeof lifeSeconds !== 'number') {
    throw new Refusal('life-refused', 'lifeSeconds must be a whole number above 0, or left out');
  }
  return { csr, lifeSeconds };
}

/** A certificate that nobody can account for is not given out. */
function writeAudit({ audit, log }: SigningDependencies, entry: AuditEntry): void {
  try {
    audit.write(entry);
  } catch (error) {
    log.error({ error }, 'the audit cannot be written; no certificate is given out');
    throw new Refusal('audit-unavailable', 'the CA cannot write its audit; try again later');
  }
}
