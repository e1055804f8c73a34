// What the kinds of our own share: how they are attached, and what a name in them is.
import type { z } from 'zod';

import type { targetRef, workloadSelector } from '../kinds/selector.ts';
import { type Finding, joinIndex } from '../origin.ts';
import { adder } from './adder.ts';
import { attachmentFindings } from './attachment.ts';

export interface Attached {
  readonly selector?: z.infer<typeof workloadSelector>;
  readonly targetRefs?: readonly z.infer<typeof targetRef>[];
}

export function extensionFindings(kind: string, spec: Attached, code: string): Finding[] {
  const { selector, targetRefs = [] } = spec;
  const findings = attachmentFindings({ selector });
  const add = adder(findings, 'error', code);
  if (selector !== undefined && targetRefs.length > 0) {
    add('spec.targetRefs', 'only one of selector and targetRefs may be set', 'keep one of them');
  }
  for (const [i, { group, kind: target, namespace = '' }] of targetRefs.entries()) {
    const at = joinIndex('spec.targetRefs', i);
    if (target !== 'Service' || group !== '') add(at, `${kind} is attached to Services`);
    if (namespace !== '') add(`${at}.namespace`, 'a targetRef may not name a namespace');
  }
  return findings;
}

/** RFC 9110 section 5.6.2. */
export function isToken(name: string): boolean {
  return /^[-!#$%&'*+.^_`|~0-9a-zA-Z]+$/.test(name);
}
