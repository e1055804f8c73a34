// Judges every observed call by the policies that are suggested for it: what was allowed must stay so.
import type { RequestAuthentication } from '#api/kinds/request-authentication.ts';
import { defaultMeshConfig } from '#api/mesh.ts';
import type { Workload } from '#api/workload.ts';
import { compilePolicies } from '#policy/compile.ts';

import { recordJudge } from '../recording/judge-record.ts';
import type { Observed } from './observed.ts';
import type { Suggestion } from './policy.ts';

/** @throws Error for a call that would be denied, which is a mistake of ours */
export async function verifySuggestion(
  { allowed, callers }: Observed,
  { policy }: Suggestion,
  workload: Workload,
): Promise<void> {
  const issuers = [...new Set(callers.map(({ issuer }) => issuer))].filter((one) => one !== '');
  const domains = callers.map(({ principal }) => principal.split('/')[0] ?? '');
  const mesh = { ...defaultMeshConfig, trustDomainAliases: [...new Set(domains)] };
  const enforced = { ...policy, metadata: { ...policy.metadata, annotations: {} } };
  const policies = compilePolicies({
    mesh,
    workload,
    policies:
      issuers.length === 0 ? [enforced] : [enforced, believing(issuers, workload.namespace)],
  });
  const judge = recordJudge(policies);
  for (const call of allowed) {
    const judged = await judge.judge(call);
    if (judged.kind === 'judged' && !judged.judgement.allowed) {
      const { method, path, source } = call;
      const what = `${method} ${path} of ${source.principal}`;
      throw new Error(`the suggestion would deny ${what}: ${judged.judgement.reason}`);
    }
  }
}

/** Tokens were verified when they were recorded. */
function believing(issuers: readonly string[], namespace: string): RequestAuthentication {
  return {
    apiVersion: 'security.istio.io/v1',
    kind: 'RequestAuthentication',
    metadata: { name: 'observed', namespace, labels: {}, annotations: {} },
    spec: {
      jwtRules: issuers.map((issuer) => ({ issuer, forwardOriginalToken: true, timeout: '5s' })),
    },
  };
}
