// What signs now and what everyone trusts: the records of the store together with the keys that are here.
import { assembleIssuer, splitPem, type Issuer } from './issuer.ts';
import * as rotation from './rotation.ts';
import type { Records } from './rotation.ts';

/** One consistent view: read once for each certificate. */
export interface InForce {
  readonly issuer: Issuer;
  /** What follows a leaf in its chain, PEM. */
  readonly chainPem: string;
  readonly trustBundlePem: string;
}

/** The issuers whose keys are here: of self-signed ones they are in the records, a plugged one's only in memory. */
export class Issuers {
  readonly #known = new Map<string, Issuer>();

  get(id: string | undefined): Issuer | undefined {
    return id === undefined ? undefined : this.#known.get(id);
  }

  add(issuer: Issuer): void {
    this.#known.set(issuer.id, issuer);
  }

  /** Throws when a record's key and certificates do not fit together. */
  take(records: Records): void {
    for (const record of records) {
      if (record.keyPem === '' || this.#known.has(record.id)) continue;
      const { certificatePem, intermediatesPem, rootPem } = record;
      const certificates = splitPem(certificatePem + intermediatesPem + rootPem);
      this.#known.set(record.id, assembleIssuer(record.keyPem, certificates));
    }
  }
}

/**
 * Every root of the records is trusted. What signs is the issuer that ought to; while its key is not here (a plugged one
 * that another CA has read already) the one that did before. Null when there is none at all.
 */
export function viewOf(records: Records, issuers: Issuers, before: InForce | null): InForce | null {
  const trustBundlePem = rotation.bundleOf(records);
  const signing = rotation.byRole(records, 'signing');
  const issuer = issuers.get(signing?.id);
  if (signing !== undefined && issuer !== undefined) {
    return { issuer, chainPem: rotation.chainOf(records, signing), trustBundlePem };
  }
  return before === null ? null : { ...before, trustBundlePem };
}
