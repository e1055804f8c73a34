// What is not searched, so that nothing is proven where it counts.
import type { JwtRule } from '#api/kinds/request-authentication.ts';

import { appliesTo } from '../attach.ts';
import type { CompiledPolicies, PolicyInput } from '../compile.ts';
import type { Asked } from './asked.ts';
import type { Variable } from './subject.ts';

export interface Gaps {
  /** What differs between the sides beyond what is searched. */
  readonly unproven: readonly string[];
  /** What counts only where a difference that was found is none by everyday values. */
  readonly vague: readonly string[];
}

/** @param asked all conditions of both sides @param variables that were made of them */
export function gapsOf(
  inputs: readonly [PolicyInput, PolicyInput],
  sides: readonly [CompiledPolicies, CompiledPolicies],
  asked: readonly Asked[],
  variables: readonly Variable[],
): Gaps {
  const vague = [...notUnderstood(asked), ...boundHeaders(sides, variables)];
  const [before, after] = sides;
  const [old, now] = [rulesByIssuer(inputs[0], wholeRule), rulesByIssuer(inputs[1], wholeRule)];
  const isSame = JSON.stringify([...old]) === JSON.stringify([...now]);
  return {
    vague,
    unproven: [
      // What tokens do to a request must be alike, for one value to stand for both sides.
      ...(isSame ? [] : vague),
      ...otherKeys(inputs),
      ...(before.normalization === after.normalization
        ? []
        : ['the sides normalise paths differently (meshConfig.pathNormalization)']),
    ],
  };
}

function notUnderstood(asked: readonly Asked[]): string[] {
  const fields = asked
    .filter(({ subject }) => subject.variable.startsWith('other:'))
    .map(({ condition }) => condition.field.replace('.notValues', ''));
  return [...new Set(fields)].map(
    (field) => `${field} is not among the fields that are understood`,
  );
}

/** Headers that tokens come in, or that are made of them, do not vary freely. */
function boundHeaders(
  sides: readonly CompiledPolicies[],
  variables: readonly Variable[],
): string[] {
  const bound = new Set(
    sides.flatMap(({ tokens }) =>
      (tokens?.rules ?? []).flatMap(({ locations, reserved }) => [
        ...locations.headers.map(({ name }) => name),
        ...(locations.cookies.length > 0 ? ['cookie'] : []),
        ...reserved,
      ]),
    ),
  );
  return [...bound]
    .filter((name) => variables.some((one) => one.startsWith(`header:${name}#`)))
    .map((name) => `request.headers[${name}] is bound to tokens (RequestAuthentication)`);
}

/** Which keys verify a token, where it is looked for and how its claims are split is not searched. */
function otherKeys(inputs: readonly [PolicyInput, PolicyInput]): string[] {
  const [before, after] = [
    rulesByIssuer(inputs[0], keysAndPlaces),
    rulesByIssuer(inputs[1], keysAndPlaces),
  ];
  return [...before]
    .filter(([issuer, rules]) => after.has(issuer) && after.get(issuer) !== rules)
    .map(([issuer]) => `the sides take tokens of ${issuer} from other places or by other keys`);
}

function rulesByIssuer(
  { policies, workload, mesh }: PolicyInput,
  look: (rule: JwtRule) => unknown,
): Map<string, string> {
  const byIssuer = new Map<string, string>();
  for (const policy of policies) {
    if (policy.kind !== 'RequestAuthentication') continue;
    if (!appliesTo(policy, workload, mesh.rootNamespace)) continue;
    for (const rule of policy.spec.jwtRules) {
      const known = byIssuer.get(rule.issuer) ?? '';
      byIssuer.set(rule.issuer, `${known}${JSON.stringify(look(rule))}\n`);
    }
  }
  return byIssuer;
}

/** All but what is searched, and what changes no verdict. */
function wholeRule(rule: JwtRule): unknown {
  const { audiences: _audiences, timeout: _timeout, ...look } = rule;
  return look;
}

function keysAndPlaces(rule: JwtRule): unknown {
  const { jwks, jwksUri, fromHeaders, fromParams, fromCookies, spaceDelimitedClaims } = rule;
  return [jwks, jwksUri, fromHeaders, fromParams, fromCookies, spaceDelimitedClaims];
}
