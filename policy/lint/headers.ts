// Headers that are changed or gone before a policy looks, and values that none can have.
import type { Problem } from '#api/problem.ts';

import { appliesTo } from '../attach.ts';
import { type LintContext, warning } from './context.ts';
import type { PolicyValue } from './values.ts';

/** Hop-by-hop: cut before policies look. */
const gone = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
]);

export function checkHeaders(context: LintContext): Problem[] {
  return context.values
    .filter(({ field }) => field === 'headers')
    .flatMap((at) => checkName(at, context) ?? checkValue(at) ?? []);
}

function checkName(at: PolicyValue, context: LintContext): Problem | null {
  // A header has one condition and many values: said once.
  if (!at.path.endsWith('[0]')) return null;
  const name = at.name.toLowerCase();
  if (gone.has(name)) {
    const message = `${at.label}: the header is removed before policies look at the request`;
    return said(at, 'header-gone', message, 'use another header');
  }
  if (name === 'x-forwarded-client-cert') {
    const message =
      `${at.label}: the sidecar itself writes this header for every mutual TLS call, and ` +
      'cuts what a plaintext caller sends';
    return said(at, 'header-rewritten', message, 'use principals to name the caller');
  }
  if (name === ':path') {
    const message = `${at.label} has the query in it, unlike paths`;
    return said(at, 'header-path-with-query', message, 'use to.operation.paths');
  }
  if (name === ':authority' || name === 'host') {
    const message = `${at.label} is compared with regard to case, which hosts are not`;
    return said(at, 'header-host-case', message, 'use to.operation.hosts');
  }
  return name === 'authorization' ? tokenRemoved(at, context) : null;
}

/** jwt_authn cuts the token's header before RBAC looks. */
function tokenRemoved(at: PolicyValue, { mesh, workloadsUnder }: LintContext): Problem | null {
  const { rootNamespace } = mesh.meshConfig;
  // External authorizers come before the token is looked at.
  if (at.policy.spec.action === 'CUSTOM') return null;
  // Other schemes stay: only bearer tokens are read.
  if (at.list.every((value) => value !== '*' && !value.startsWith('Bearer'))) return null;
  const workloads = workloadsUnder(at.policy);
  const by = mesh.requestAuthentications.find(
    (authentication) =>
      authentication.spec.jwtRules.some((rule) => !rule.forwardOriginalToken) &&
      workloads.some((workload) => appliesTo(authentication, workload, rootNamespace)),
  );
  if (by === undefined) return null;
  const name = `${by.metadata.namespace}/${by.metadata.name}`;
  const message =
    `${at.label}: RequestAuthentication ${name} removes a good token from the header first, ` +
    'so that no policy sees it there';
  return said(
    at,
    'token-removed',
    message,
    'set forwardOriginalToken: true, or use requestPrincipals',
  );
}

function checkValue(at: PolicyValue): Problem | null {
  const { value, label } = at;
  if (value !== value.trim()) {
    const message = `${label}: "${value}" never matches: blanks around a header's value are cut`;
    return said(at, 'header-blank', message, `write "${value.trim()}"`, at.path);
  }
  const words = value.split(/, */);
  if (words.length === 1 || !words.every((word) => /^[\w-]+$/.test(word))) return null;
  const message = `${label}: "${value}" is one text, not a list`;
  const mend = `for either of them write ${words.map((word) => `"${word}"`).join(', ')}`;
  return said(at, 'header-comma', message, mend, at.path);
}

function said(
  at: PolicyValue,
  code: string,
  message: string,
  mend: string,
  path = at.listPath,
): Problem {
  return warning(at.policy, { code, path, message, mend });
}
