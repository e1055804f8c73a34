// selector, targetRef and targetRefs: what Istio's webhook asks of them.
import type { z } from 'zod';

import type { targetRef, workloadSelector } from '../kinds/selector.ts';
import { type Finding, joinIndex, joinKey } from '../origin.ts';

export interface Attachment {
  readonly selector?: z.infer<typeof workloadSelector>;
  readonly targetRef?: z.infer<typeof targetRef>;
  readonly targetRefs?: readonly z.infer<typeof targetRef>[];
}

const targetKinds: Readonly<Record<string, readonly string[]>> = {
  '': ['Service'],
  core: ['Service'],
  'networking.istio.io': ['ServiceEntry'],
  'gateway.networking.k8s.io': ['Gateway', 'GatewayClass'],
};
const targetRefsMax = 16;

export function attachmentFindings(spec: Attachment): Finding[] {
  const { selector, targetRef, targetRefs = [] } = spec;
  const findings: Finding[] = selectorFindings(selector);
  const set = [selector, targetRef, targetRefs.length > 0 ? targetRefs : undefined];
  if (set.filter((one) => one !== undefined).length > 1) {
    findings.push({
      severity: 'error',
      code: 'attachment-ambiguous',
      path: targetRef === undefined ? 'spec.targetRefs' : 'spec.targetRef',
      message: 'only one of selector and targetRefs may be set',
      mend: 'keep the selector: a sidecar knows nothing else',
    });
  }
  if (targetRefs.length > targetRefsMax) {
    findings.push(
      targetFinding('spec.targetRefs', `at most ${targetRefsMax} targetRefs are allowed`),
    );
  }
  if (targetRef !== undefined) findings.push(...targetFindings(targetRef, 'spec.targetRef'));
  for (const [i, ref] of targetRefs.entries()) {
    findings.push(...targetFindings(ref, joinIndex('spec.targetRefs', i)));
  }
  return findings;
}

function selectorFindings(selector: Attachment['selector']): Finding[] {
  if (selector === undefined) return [];
  const findings: Finding[] = [];
  const path = 'spec.selector.matchLabels';
  for (const [key, value] of Object.entries(selector.matchLabels)) {
    const at = joinKey(path, key);
    if (key === '') findings.push(selectorFinding(at, 'a label of a selector has no name'));
    if (`${key}${value}`.includes('*')) {
      const message = `"${key}: ${value}" has a *, and selectors know no wildcards`;
      findings.push(selectorFinding(at, message));
    }
  }
  if (Object.keys(selector.matchLabels).length === 0) {
    findings.push({
      severity: 'warning',
      code: 'selector-empty',
      path: 'spec.selector',
      message: 'a selector without labels selects every workload, as if it were not there',
      mend: 'name a label under matchLabels, or remove the selector',
    });
  }
  return findings;
}

function targetFindings(ref: z.infer<typeof targetRef>, path: string): Finding[] {
  const findings: Finding[] = [];
  if (ref.namespace !== undefined && ref.namespace !== '') {
    findings.push(targetFinding(`${path}.namespace`, 'a targetRef may not name a namespace'));
  }
  if (!(Object.hasOwn(targetKinds, ref.group) && targetKinds[ref.group]?.includes(ref.kind))) {
    const message = `a targetRef may not be to ${ref.group || 'core'}/${ref.kind}`;
    findings.push(targetFinding(path, message));
  }
  return findings;
}

function selectorFinding(path: string, message: string): Finding {
  const mend = 'write whole labels; a policy for several values of a label is several policies';
  return { severity: 'error', code: 'selector-invalid', path, message, mend };
}

function targetFinding(path: string, message: string): Finding {
  const mend = 'use selector.matchLabels: a sidecar ignores targetRefs';
  return { severity: 'error', code: 'target-invalid', path, message, mend };
}
