// Whom a policy names: accounts, namespaces and trust domains that do not exist or are not met.
import { nearest } from '#api/spelling.ts';
import type { Problem } from '#api/problem.ts';

import { expandPrincipal } from '../aliases.ts';
import {
  namespaceTest,
  principalTest,
  splitServiceAccount,
  trustDomainTest,
} from '../match/identity.ts';
import { readPattern } from '../match/text.ts';
import { type LintContext, warning } from './context.ts';
import type { PolicyValue } from './values.ts';

export function checkIdentities(context: LintContext): Problem[] {
  return context.values.flatMap((value) => {
    switch (value.field) {
      case 'principals':
        return checkPrincipal(value, context);
      case 'namespaces':
        return checkNamespace(value, context);
      case 'serviceAccounts':
        return checkServiceAccount(value, context);
      case 'trustDomains':
        return checkTrustDomain(value, context);
      default:
        return [];
    }
  });
}

function checkPrincipal(at: PolicyValue, context: LintContext): Problem[] {
  const { value } = at;
  const { domains, complete } = context;
  if (value.startsWith('spiffe://')) {
    const message = `"${value}" never matches: principals are written without spiffe://`;
    return [said(at, 'principal-with-scheme', message, `write "${value.slice(9)}"`)];
  }
  const notExpanded = unexpanded(at, domains);
  if (notExpanded.length > 0) return notExpanded;
  const { form, text } = readPattern(value);
  const parts = value.split('/');
  const shaped = parts.length === 5 && parts[1] === 'ns' && parts[3] === 'sa';
  if (form === 'exact' && !shaped) {
    const message = `"${value}" never matches: no workload has an identity of this form`;
    const mend = `write "${domains[0]}/ns/NAMESPACE/sa/ACCOUNT"`;
    return [said(at, 'principal-malformed', message, mend)];
  }
  // A star in the middle is told of by the check of wildcards.
  if (text.includes('*') || form === 'any') return [];
  const [domain = ''] = parts;
  if (shaped && !domain.includes('*') && !isDomain(domain, domains)) {
    return [unknownDomain(at, domain, domains)];
  }
  return complete ? checkAccount(at, context) : [];
}

function checkAccount(at: PolicyValue, context: LintContext): Problem[] {
  const { namespaces } = context;
  if (isSomebody(at.value, context)) return [];
  const [, namespace = '', account = ''] = /\/ns\/([^/*]+)\/sa\/([^/*]+)$/.exec(at.value) ?? [];
  if (namespace !== '' && !namespaces.has(namespace))
    return [unknownNamespace(at, namespace, context)];
  const message =
    account === ''
      ? `no service account has a principal like "${at.value}"`
      : `there is no service account ${account} in the namespace ${namespace}`;
  return [said(at, 'principal-unknown', message, likelyAccount(namespace, account, context))];
}

function isSomebody(value: string, { accounts, domains }: LintContext): boolean {
  const [domain = '', , namespace, , account] = value.split('/');
  // Most principals are whole: there is no need to try everybody.
  if (!value.includes('*') && isDomain(domain, domains)) {
    return accounts.has(`${namespace}/${account}`);
  }
  const wanted = principalTest(expandPrincipal(value, domains));
  return [...accounts].some((one) => {
    const path = one.replace('/', '/sa/');
    return domains.some((own) => wanted(`spiffe://${own}/ns/${path}`));
  });
}

/** Aliases are applied to whole principals only. */
function unexpanded(at: PolicyValue, domains: readonly string[]): Problem[] {
  const { value } = at;
  const [domain = '', ...rest] = value.split('/');
  const others = domains.filter((own) => own !== domain);
  if (others.length === 0 || rest.length === 0 || rest.length === 4) return [];
  if (domain.includes('*') || !isDomain(domain, domains)) return [];
  const message =
    `"${value}" holds for the trust domain ${domain} alone: only principals of the form ` +
    `domain/ns/x/sa/y stand for ${others.join(', ')} too`;
  const mend =
    value.endsWith('/*') && rest.length === 3
      ? `write "${value.slice(0, -1)}sa/*"`
      : 'write it in that form, or once for each trust domain';
  return [said(at, 'principal-not-expanded', message, mend)];
}

function checkNamespace(at: PolicyValue, context: LintContext): Problem[] {
  const { value } = at;
  if (value.includes('/')) {
    const message = `"${value}" has a "/", and namespaces have none: it never matches`;
    return [said(at, 'namespace-malformed', message, 'write the name of the namespace alone')];
  }
  if (!context.complete) return [];
  const wanted = namespaceTest(value);
  const found = [...context.namespaces].some((name) => wanted(`spiffe://x/ns/${name}/sa/y`));
  return found ? [] : [unknownNamespace(at, value, context)];
}

function checkServiceAccount(at: PolicyValue, context: LintContext): Problem[] {
  if (!context.complete) return [];
  const home = at.policy.metadata.namespace;
  const [namespace, account] = splitServiceAccount(at.value, home);
  if (context.accounts.has(`${namespace}/${account}`)) return [];
  if (!context.namespaces.has(namespace)) return [unknownNamespace(at, namespace, context)];
  const short = !at.value.includes('/');
  const where = short ? `${namespace}, the namespace of the policy` : `the namespace ${namespace}`;
  const message = `there is no service account ${account} in ${where}`;
  const mend = short
    ? `write "NAMESPACE/${account}": a short name means the policy's own namespace`
    : likelyAccount(namespace, account, context);
  return [said(at, 'service-account-unknown', message, mend)];
}

function checkTrustDomain(at: PolicyValue, { domains }: LintContext): Problem[] {
  const wanted = trustDomainTest(at.value);
  if (domains.some((domain) => wanted(`spiffe://${domain}/`))) return [];
  return [unknownDomain(at, at.value, domains)];
}

/** `cluster.local` always means the mesh's own, whatever that is called. */
function isDomain(domain: string, domains: readonly string[]): boolean {
  return domain === 'cluster.local' || domains.includes(domain);
}

function unknownDomain(at: PolicyValue, domain: string, domains: readonly string[]): Problem {
  const message =
    `the trust domain ${domain} is neither the mesh's (${domains[0]}) nor one of its aliases: ` +
    'its certificates are refused before any policy is looked at';
  const mend = `write ${domains[0]}, or add ${domain} to meshConfig.trustDomainAliases`;
  return said(at, 'trust-domain-unknown', message, mend);
}

function unknownNamespace(at: PolicyValue, namespace: string, context: LintContext): Problem {
  const similar = nearest(namespace, [...context.namespaces]);
  const message = `there is no namespace ${namespace}`;
  const mend = similar === null ? 'correct the name' : `did you mean ${similar}?`;
  return said(at, 'namespace-unknown', message, mend);
}

function likelyAccount(namespace: string, account: string, { accounts }: LintContext): string {
  const similar = nearest(`${namespace}/${account}`, [...accounts]);
  if (similar !== null) return `did you mean ${similar.replace('/', '/sa/')}?`;
  return 'correct it, or add the ServiceAccount';
}

function said(at: PolicyValue, code: string, message: string, mend?: string): Problem {
  const { policy, path, label } = at;
  return warning(policy, { code, path, message: `${label}: ${message}`, mend });
}
