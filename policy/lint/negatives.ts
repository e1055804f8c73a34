// notX in ALLOW: it is true where the thing is missing altogether, so it lets the anonymous in.
import type { Problem } from '#api/problem.ts';

import { resolveMtls } from '../peer-authentication.ts';
import { type LintContext, namesOf, warning } from './context.ts';
import type { Field, PolicyValue } from './values.ts';

/** Absent on plaintext. */
const peerFields: ReadonlySet<Field> = new Set([
  'principals',
  'namespaces',
  'serviceAccounts',
  'trustDomains',
]);
/** Absent without a token. */
const tokenFields: ReadonlySet<Field> = new Set([
  'requestPrincipals',
  'claims',
  'audiences',
  'presenters',
]);

export function checkNegatives(context: LintContext): Problem[] {
  return firstsOfLists(context.values).flatMap((value) => {
    if (!value.negative || value.policy.spec.action !== 'ALLOW') return [];
    if (peerFields.has(value.field)) return plaintextPasses(value, context);
    if (tokenFields.has(value.field)) return anonymousPasses(value, context);
    return value.field === 'headers' ? headerlessPasses(value, context) : [];
  });
}

function plaintextPasses(at: PolicyValue, context: LintContext): Problem[] {
  if (hasPositive(at, peerFields, context)) return [];
  const { policy } = at;
  const { mesh } = context;
  const open = context.workloadsUnder(policy).filter((workload) => {
    const { rootNamespace } = mesh.meshConfig;
    const mtls = resolveMtls(mesh.peerAuthentications, workload, rootNamespace);
    const ports = workload.ports.length === 0 ? [0] : workload.ports.map(({ port }) => port);
    return ports.some((port) => mtls(port).mode !== 'STRICT');
  });
  if (context.workloads.length > 0 && open.length === 0) return [];
  const where = open.length === 0 ? '' : ` to ${namesOf(open)}`;
  return [
    said(
      at,
      `${at.label} is also true of a caller without any identity: plaintext calls${where} ` +
        'are allowed',
      'add principals: ["*"] to demand mutual TLS, or set PeerAuthentication to STRICT',
    ),
  ];
}

function anonymousPasses(at: PolicyValue, context: LintContext): Problem[] {
  if (hasPositive(at, tokenFields, context)) return [];
  return [
    said(
      at,
      `${at.label} is also true of a request without a token: anonymous requests are allowed`,
      'add requestPrincipals: ["*"] to demand a token',
    ),
  ];
}

function headerlessPasses(at: PolicyValue, context: LintContext): Problem[] {
  const sameHeader = context
    .valuesIn(at.policy)
    .some((one) => one.rule === at.rule && one.label === at.label && !one.negative);
  if (sameHeader) return [];
  return [
    said(
      at,
      `notValues of ${at.label} is also true of a request without that header: it is allowed`,
      'add values: ["*"] to demand the header',
    ),
  ];
}

/** The rule names such a thing positively too: what is missing fails there. */
function hasPositive(at: PolicyValue, fields: ReadonlySet<Field>, context: LintContext): boolean {
  return context.valuesIn(at.policy).some((one) => {
    if (one.rule !== at.rule || one.negative || !fields.has(one.field)) return false;
    // Items of `from` are alternatives: the positive field must be in the same one, or in `when`.
    return one.listPath.includes('.when[') || sourceOf(one) === sourceOf(at) || inWhen(at);
  });
}

function inWhen({ listPath }: PolicyValue): boolean {
  return listPath.includes('.when[');
}

function sourceOf({ listPath }: PolicyValue): string {
  return listPath.slice(0, listPath.lastIndexOf('.'));
}

function firstsOfLists(values: readonly PolicyValue[]): PolicyValue[] {
  return values.filter(({ path }) => path.endsWith('[0]'));
}

function said(at: PolicyValue, message: string, mend: string): Problem {
  return warning(at.policy, {
    code: 'negative-lets-absent-pass',
    path: at.listPath,
    message,
    mend,
  });
}
