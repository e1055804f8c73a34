// The phases of a root's life, pure: published in the trust bundle -> signing -> retired, still trusted -> dropped.

export interface IssuerRecord {
  /** SHA-256 of the issuer's certificate, the first 16 hexadecimal digits. */
  readonly id: string;
  readonly origin: 'self-signed' | 'plugged';
  /** `published`: trusted, not signing yet. `retired`: trusted, no longer signing. */
  readonly role: 'published' | 'signing' | 'retired';
  readonly certificatePem: string;
  readonly intermediatesPem: string;
  readonly rootPem: string;
  /** '' for a plugged issuer, whose key stays in the operator's file, and for a retired one. */
  readonly keyPem: string;
  /** The root certified by the issuer before it; '' where there was none or its key was not at hand. */
  readonly crossPem: string;
  /** ms since 1970; 0: not yet. */
  readonly publishedAtMs: number;
  readonly signingAtMs: number;
  /** Of the root. */
  readonly rootNotAfterMs: number;
  /** The longest life that any of its leaves was given. */
  readonly leafLifeMs: number;
  /** When the last of its leaves has ended; known once it is retired. */
  readonly leavesEndMs: number;
}

export type Records = readonly IssuerRecord[];

/** A step that cannot be taken now; the message says why. */
export class RotationError extends Error {
  override readonly name = 'RotationError';
}

/** Adds a root to the trust bundle. */
export function publish(records: Records, record: IssuerRecord): Records {
  const waiting = byRole(records, 'published');
  if (waiting !== undefined) {
    throw new RotationError(`a rotation to ${waiting.id} is in progress: switch to it first`);
  }
  return [...records.filter((known) => known.id !== record.id), record];
}

/** Takes back what was published and has never signed. */
export function withdraw(records: Records): Records {
  return records.filter((record) => record.role !== 'published');
}

/**
 * The published issuer signs from now on; the one before is retired and its key forgotten.
 * @param followMs for so long another CA may still sign with it
 */
export function switchSigning(records: Records, nowMs: number, followMs = 0): Records {
  const next = byRole(records, 'published');
  if (next === undefined) throw new RotationError('no root waits to sign: publish one first');
  return records.map((record) => {
    if (record.id === next.id) return { ...record, role: 'signing', signingAtMs: nowMs };
    if (record.role !== 'signing') return record;
    const leavesEndMs = nowMs + followMs + record.leafLifeMs;
    return { ...record, role: 'retired', keyPem: '', leavesEndMs };
  });
}

/** Leaves may live as long as `leafLifeMs` from now on; those of a longer limit before are remembered. */
export function allowLife(records: Records, leafLifeMs: number): Records {
  return records.map((record) => {
    const keeps = record.role === 'retired' || record.leafLifeMs >= leafLifeMs;
    return keeps ? record : { ...record, leafLifeMs };
  });
}

/** Takes retired roots out of the bundle; `force` also while leaves of theirs may live. */
export function drop(records: Records, nowMs: number, force: boolean): Records {
  const retired = records.filter((record) => record.role === 'retired');
  if (retired.length === 0) throw new RotationError('no retired root is in the bundle');
  const ended = (record: IssuerRecord): boolean => force || record.leavesEndMs <= nowMs;
  if (!retired.some((record) => ended(record))) {
    const end = new Date(Math.min(...retired.map((record) => record.leavesEndMs))).toISOString();
    throw new RotationError(
      `certificates of the retired root live until ${end}: drop it then, or with force=true`,
    );
  }
  return records.filter((record) => record.role !== 'retired' || !ended(record));
}

/** What time alone brings: a published root has been known long enough, a retired root has expired. */
export function due(records: Records, nowMs: number, overlapMs: number): 'switch' | 'drop' | null {
  const waiting = byRole(records, 'published');
  if (waiting !== undefined && nowMs >= waiting.publishedAtMs + overlapMs) return 'switch';
  const expired = records.some(
    (record) => record.role === 'retired' && record.rootNotAfterMs <= nowMs,
  );
  return expired ? 'drop' : null;
}

/** Whether a self-signed root is to be replaced: this part of its life is left. */
export function isInGrace(
  { notBeforeMs, notAfterMs }: { readonly notBeforeMs: number; readonly notAfterMs: number },
  nowMs: number,
): boolean {
  return notAfterMs - nowMs <= (notAfterMs - notBeforeMs) * graceFraction;
}

const graceFraction = 0.2;

export function byRole(records: Records, role: IssuerRecord['role']): IssuerRecord | undefined {
  return records.find((record) => record.role === role);
}

/** Every root to trust, each once: the signing one first. */
export function bundleOf(records: Records): string {
  const order = ['signing', 'published', 'retired'] as const;
  const roots = order.flatMap((role) =>
    records.filter((record) => record.role === role).map((record) => record.rootPem),
  );
  return [...new Set(roots)].join('');
}

/**
 * What follows the leaf: intermediates, then, while an older root is still trusted somewhere, the cross certificate
 * that leads to it.
 */
export function chainOf(records: Records, record: IssuerRecord): string {
  const bridging = records.some(
    (other) => other.role === 'retired' && other.rootPem !== record.rootPem,
  );
  return record.intermediatesPem + (bridging ? record.crossPem : '');
}
