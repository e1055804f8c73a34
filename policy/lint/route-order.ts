// Rules of a VirtualService that no request reaches, because an earlier one takes everything that they match.
import { isDeepStrictEqual } from 'node:util';

import type { VirtualService } from '#api/kinds/virtual-service.ts';
import type { HttpRuleMatch, StringMatch } from '#api/kinds/virtual-service-http.ts';
import type { Problem } from '#api/problem.ts';

import { type LintContext, warning } from './context.ts';

export function checkRouteOrder({ mesh }: LintContext): Problem[] {
  return mesh.virtualServices.flatMap((one) => [...unreachableHttp(one), ...unreachableRest(one)]);
}

interface Earlier {
  readonly rule: number;
  readonly match: HttpRuleMatch;
}

function unreachableHttp(resource: VirtualService): Problem[] {
  const earlier: Earlier[] = [];
  return resource.spec.http.flatMap(({ match = [] }, rule) => {
    const own = match.length === 0 ? [{}] : match;
    const by = own.map((one) => earlier.find((other) => covers(other.match, one)));
    earlier.push(...own.map((one) => ({ rule, match: one })));
    const path = `spec.http[${rule}]`;
    if (by.every((one) => one !== undefined))
      return [unreachable(resource, path, by[0]?.rule ?? 0)];
    return by.flatMap((one, i) =>
      one === undefined ? [] : [unreachable(resource, `${path}.match[${i}]`, one.rule)],
    );
  });
}

function unreachableRest(resource: VirtualService): Problem[] {
  return (['tls', 'tcp'] as const).flatMap((kind) => {
    const rules = resource.spec[kind];
    const first = rules.findIndex(({ match = [] }) => match.length === 0);
    if (first === -1) return [];
    return rules
      .slice(first + 1)
      .map((_, i) => unreachable(resource, `spec.${kind}[${first + 1 + i}]`, first));
  });
}

function unreachable(resource: VirtualService, path: string, by: number): Problem {
  const kind = /^spec\.\w+/.exec(path)?.[0] ?? 'spec';
  return warning(resource, {
    code: 'rule-unreachable',
    path,
    message: `nothing reaches ${path}: ${kind}[${by}] takes all that it matches, and comes before it`,
    mend: 'put the narrower rule first, or remove it',
  });
}

/** Whether the earlier match holds wherever the later one does. Unsure: no. */
function covers(earlier: HttpRuleMatch, later: HttpRuleMatch): boolean {
  const { uri, name: _, statPrefix: __, ignoreUriCase, ...rest } = earlier;
  const {
    uri: laterUri,
    name: ___,
    statPrefix: ____,
    ignoreUriCase: laterCase,
    ...laterRest
  } = later;
  if (uri !== undefined && !coversPath(uri, laterUri)) return false;
  // Case-sensitive ones take less.
  if (uri !== undefined && (laterCase ?? false) && !(ignoreUriCase ?? false)) return false;
  const others: Readonly<Record<string, unknown>> = laterRest;
  return Object.entries(rest).every(
    ([field, value]) => isNothing(value) || isDeepStrictEqual(value, others[field]),
  );
}

function isNothing(value: unknown): boolean {
  if (value === undefined || value === 0 || value === '') return true;
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0;
}

function coversPath(earlier: StringMatch, later: StringMatch | undefined): boolean {
  const { prefix } = earlier;
  if (prefix === '/' || prefix === '') return true;
  if (later === undefined) return isNothing(earlier);
  if (isDeepStrictEqual(earlier, later)) return true;
  return prefix !== undefined && (later.exact ?? later.prefix ?? '').startsWith(prefix);
}
