// Tokens: principals that no token has, tokens that nobody reads, and tokens that nobody asks for.
import type { AuthorizationPolicy } from '#api/kinds/authorization-policy.ts';
import type { RequestAuthentication } from '#api/kinds/request-authentication.ts';
import type { MeshWorkload } from '#api/mesh.ts';
import type { Problem } from '#api/problem.ts';

import { appliesTo, isDryRun } from '../attach.ts';
import { type LintContext, listed, namesOf, warning } from './context.ts';
import type { Field, PolicyValue } from './values.ts';

const tokenFields: ReadonlySet<Field> = new Set([
  'requestPrincipals',
  'claims',
  'audiences',
  'presenters',
]);

export function checkTokens(context: LintContext): Problem[] {
  return [
    ...context.values.flatMap((at) => checkPrincipal(at, context)),
    ...unreadTokens(context),
    ...context.mesh.requestAuthentications.flatMap((one) => [
      ...optionalToken(one, context),
      ...headerUnread(one),
    ]),
  ];
}

/** `issuer/subject` is split at the last slash, and the halves are compared apart. */
function checkPrincipal(at: PolicyValue, context: LintContext): Problem[] {
  const { value, field } = at;
  if (field !== 'requestPrincipals' || value === '*') return [];
  const slash = value.lastIndexOf('/');
  if (slash === -1 && !value.includes('*')) {
    const message = `"${value}" never matches: it names an issuer and no subject`;
    return [said(at, 'request-principal-without-subject', message, `write "${value}/*"`)];
  }
  if (slash > 0 && value[slash - 1] === '/') {
    const issuer = value.slice(0, slash);
    const message =
      `"${value}" never matches: it is split at the last "/", which makes the issuer ` +
      `"${issuer}"`;
    const mend = `write "${value.replace(/\*$/, '')}/*" with the whole issuer before the "/"`;
    return [said(at, 'request-principal-split-in-scheme', message, mend)];
  }
  return unknownIssuer(at, slash, context);
}

function unknownIssuer(at: PolicyValue, slash: number, context: LintContext): Problem[] {
  if (slash === -1 || at.value.startsWith('*')) return [];
  const issuer = at.value.slice(0, slash);
  const rules = context
    .workloadsUnder(at.policy)
    .flatMap((workload) => authenticationsOf(workload, context))
    .flatMap(({ spec }) => spec.jwtRules);
  const issuers = [...new Set(rules.map((rule) => rule.issuer))];
  // A rule without an issuer believes any whose keys fit.
  if (issuers.length === 0 || issuers.includes('') || issuers.includes(issuer)) return [];
  const message =
    `"${at.value}" never matches: no RequestAuthentication there believes the issuer ` +
    `"${issuer}"; it believes ${listed(issuers.map((one) => `"${one}"`))}`;
  return [said(at, 'issuer-unknown', message, 'correct the issuer, or add a rule for it')];
}

/** Without a RequestAuthentication no token is looked at, so nobody has a request principal. */
function unreadTokens(context: LintContext): Problem[] {
  const firsts = context.values.filter(
    ({ field, path, policy }) =>
      tokenFields.has(field) && path.endsWith('[0]') && policy.spec.action !== 'CUSTOM',
  );
  return firsts.flatMap((at) => {
    const without = context
      .workloadsUnder(at.policy)
      .filter((workload) => authenticationsOf(workload, context).length === 0);
    if (without.length === 0) return [];
    const meaning = at.negative ? 'is true of every request' : 'never matches';
    return warning(at.policy, {
      code: 'token-unread',
      path: at.listPath,
      message:
        `${at.label} ${meaning} on ${namesOf(without)}: no RequestAuthentication reads ` +
        'tokens there',
      mend: 'add a RequestAuthentication with the issuer and its keys',
    });
  });
}

function optionalToken(authentication: RequestAuthentication, context: LintContext): Problem[] {
  if (authentication.spec.jwtRules.length === 0) return [];
  const { rootNamespace } = context.mesh.meshConfig;
  const open = context.workloads.filter(
    (workload) =>
      appliesTo(authentication, workload, rootNamespace) && !demandsToken(workload, context),
  );
  if (open.length === 0) return [];
  return [
    warning(authentication, {
      code: 'token-optional',
      path: 'spec.jwtRules',
      message:
        `a RequestAuthentication refuses bad tokens and lets requests without any pass: ` +
        `no AuthorizationPolicy on ${namesOf(open)} asks for one`,
      mend:
        'add a DENY policy on notRequestPrincipals: ["*"], or an ALLOW policy on ' +
        'requestPrincipals',
    }),
  ];
}

/** Any place of its own switches the usual ones off. */
function headerUnread(authentication: RequestAuthentication): Problem[] {
  return authentication.spec.jwtRules.flatMap((rule, i) => {
    const { fromHeaders = [], fromParams = [], fromCookies = [] } = rule;
    const field = fromParams.length > 0 ? 'fromParams' : 'fromCookies';
    if (fromParams.length + fromCookies.length === 0 || fromHeaders.length > 0) return [];
    return warning(authentication, {
      code: 'token-header-unread',
      path: `spec.jwtRules[${i}].${field}`,
      message:
        `${field} switches the usual places off: a token in the Authorization header is not ` +
        'read, and passes',
      mend: 'add fromHeaders: [{name: Authorization, prefix: "Bearer "}] if it is meant too',
    });
  });
}

function demandsToken(workload: MeshWorkload, context: LintContext): boolean {
  return context.policiesOn(workload).some((policy) => {
    const wanted = demandsBy(policy);
    return context
      .valuesIn(policy)
      .some(({ field, negative }) => tokenFields.has(field) && wanted === negative);
  });
}

/**
 * Which half of a field demands a token: the negative in a DENY, the positive in an ALLOW; null:
 * neither.
 */
function demandsBy(policy: AuthorizationPolicy): boolean | null {
  if (isDryRun(policy)) return null;
  if (policy.spec.action === 'DENY') return true;
  return policy.spec.action === 'ALLOW' ? false : null;
}

function authenticationsOf(workload: MeshWorkload, { mesh }: LintContext): RequestAuthentication[] {
  const { rootNamespace } = mesh.meshConfig;
  return mesh.requestAuthentications.filter((one) => appliesTo(one, workload, rootNamespace));
}

function said(at: PolicyValue, code: string, message: string, mend: string): Problem {
  const { policy, path, label } = at;
  return warning(policy, { code, path, message: `${label}: ${message}`, mend });
}
