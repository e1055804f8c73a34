// Claims: only strings and lists of strings match, and some are split before they are compared.
import type { Problem } from '#api/problem.ts';

import { appliesTo } from '../attach.ts';
import { type LintContext, warning } from './context.ts';
import type { PolicyValue } from './values.ts';

export function checkClaims(context: LintContext): Problem[] {
  return context.values
    .filter(({ field }) => field === 'claims')
    .flatMap((at) => [...dottedName(at), ...splitValue(at, context), ...typedValue(at)]);
}

/**
 * `[realm_access.roles]` is one claim of that name. Claims that are URIs have dots of their own.
 */
function dottedName(at: PolicyValue): Problem[] {
  if (!at.path.endsWith('[0]') || !/^[\w-]+(\.[\w-]+)+$/.test(at.name)) return [];
  const nested = at.name.split('.').map((part) => `[${part}]`);
  const message = `[${at.name}] is one claim of that name, not one inside another`;
  const mend = `write request.auth.claims${nested.join('')} for the nested claim`;
  return [said(at, 'claim-dotted', at.listPath, message, mend)];
}

function splitValue(at: PolicyValue, context: LintContext): Problem[] {
  if (!at.value.includes(' ') || !splitClaims(at, context).has(at.name)) return [];
  const words = at.value.split(/ +/).filter((word) => word !== '');
  const message = `"${at.value}" never matches: ${at.name} is split at blanks first`;
  const each = words.map((word) => `"${word}"`).join(', ');
  const mend = `write one of ${each}; to demand all of them, a condition for each`;
  return [said(at, 'claim-split', at.path, message, mend)];
}

function splitClaims(at: PolicyValue, { mesh, workloadsUnder }: LintContext): Set<string> {
  const { rootNamespace } = mesh.meshConfig;
  const workloads = workloadsUnder(at.policy);
  const more = mesh.requestAuthentications
    .filter((one) => workloads.some((workload) => appliesTo(one, workload, rootNamespace)))
    .flatMap(({ spec }) => spec.jwtRules.flatMap((rule) => rule.spaceDelimitedClaims ?? []));
  return new Set(['scope', 'permission', ...more]);
}

function typedValue(at: PolicyValue): Problem[] {
  if (!/^(true|false|null|-?\d+(\.\d+)?)$/.test(at.value)) return [];
  const type = /^[tf]/.test(at.value) ? 'a boolean' : at.value === 'null' ? 'null' : 'a number';
  const message = `"${at.value}" matches the string only: a claim that is ${type} never matches`;
  const mend = 'have the issuer write the claim as a string, or decide by another claim';
  return [said(at, 'claim-typed', at.path, message, mend)];
}

function said(at: PolicyValue, code: string, path: string, message: string, mend: string): Problem {
  return warning(at.policy, { code, path, message: `${at.label}: ${message}`, mend });
}
