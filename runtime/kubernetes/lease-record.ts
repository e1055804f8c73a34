// What is written into a Lease: who holds it, and since when; the same fields as every Kubernetes controller's.
import type { KubeMeta } from './client.ts';

export interface LeaseObject {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: KubeMeta;
  readonly spec?: LeaseSpec | null;
}

export interface LeaseSpec {
  readonly holderIdentity?: string | null;
  readonly leaseDurationSeconds?: number | null;
  /** RFC 3339 with microseconds. */
  readonly acquireTime?: string | null;
  readonly renewTime?: string | null;
  readonly leaseTransitions?: number | null;
}

export interface Claim {
  readonly identity: string;
  readonly durationSeconds: number;
  readonly now: Date;
}

/** The lease with us as its holder; of `present` null without metadata. */
export function claim(present: LeaseObject | null, by: Claim): Omit<LeaseObject, 'metadata'> {
  const { identity, durationSeconds, now } = by;
  const before = present?.spec ?? {};
  const same = before.holderIdentity === identity;
  const transitions = before.leaseTransitions ?? 0;
  const spec: LeaseSpec = {
    ...before,
    holderIdentity: identity,
    leaseDurationSeconds: durationSeconds,
    acquireTime: same ? (before.acquireTime ?? microTime(now)) : microTime(now),
    renewTime: microTime(now),
    leaseTransitions: same || present === null ? transitions : transitions + 1,
  };
  return { ...present, apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', spec };
}

/** The lease as nobody's. */
export function release(own: LeaseObject, now: Date): LeaseObject {
  // A duration must be above zero.
  const spec = {
    ...own.spec,
    holderIdentity: '',
    leaseDurationSeconds: 1,
    renewTime: microTime(now),
  };
  return { ...own, spec };
}

export function holds(lease: LeaseObject, identity: string): boolean {
  return lease.spec?.holderIdentity === identity;
}

export function isFree(lease: LeaseObject): boolean {
  const holder = lease.spec?.holderIdentity;
  return holder === undefined || holder === null || holder === '';
}

/** metav1.MicroTime wants exactly six digits. */
function microTime(date: Date): string {
  return date.toISOString().replace(/\.(\d{3})Z$/, '.$1000Z');
}
