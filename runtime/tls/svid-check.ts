// Whether a certificate, its key and the roots to trust are fit for use: those of a reply and those of a file.
import { X509Certificate, type KeyObject } from 'node:crypto';

import type { SignedChain, Svid } from './svid.ts';

/**
 * What is not for this key, has already ended or names no root must not replace a certificate that works.
 * @throws Error that says what is wrong
 */
export function checkSvid(
  reply: SignedChain,
  key: KeyObject,
  keyPem: string,
  nowMs: number,
): { svid: Svid; serial: string } {
  const leaf = new X509Certificate(reply.chain);
  if (!leaf.checkPrivateKey(key)) throw new Error('the CA certified another key than ours');
  const names = leaf.subjectAltName?.split(', ') ?? [];
  if (!names.includes(`URI:${reply.identity}`)) {
    throw new Error(`the CA says ${reply.identity}, its certificate ${names.join(', ')}`);
  }
  const notAfterMs = leaf.validToDate.getTime();
  if (notAfterMs <= nowMs) {
    throw new Error(`the CA's certificate ended at ${leaf.validTo}: compare the two clocks`);
  }
  checkBundle(reply.trustBundle);
  const svid = {
    keyPem,
    chainPem: reply.chain,
    trustBundlePem: reply.trustBundle,
    identity: reply.identity,
    notAfterMs,
  };
  return { svid, serial: leaf.serialNumber };
}

/** Throws where the first is no certificate of a CA; an empty bundle would mean "trust nobody". */
export function checkBundle(pem: string): void {
  const first = new X509Certificate(pem);
  if (!first.ca) throw new Error('the trust bundle begins with a certificate that is no CA');
}

/** The roots of both, each once. Throws where the added ones are no certificates of CAs. */
export function joinBundles(presentPem: string, addedPem: string): string {
  checkBundle(addedPem);
  const added = blocksOf(addedPem);
  for (const block of added) checkBundle(block);
  return [...new Set([...blocksOf(presentPem), ...added])].join('');
}

/** Whether both trust the same roots, in whatever order. */
export function sameRoots(a: string, b: string): boolean {
  return blocksOf(a).toSorted().join('') === blocksOf(b).toSorted().join('');
}

function blocksOf(pem: string): string[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return blocks.map((block) => `${block.replaceAll('\r', '')}\n`);
}
