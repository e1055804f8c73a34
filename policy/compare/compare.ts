// Calls to one workload whose verdict differs between two sets of policies, found without any recording; or that none does.
import type { JwtRule } from '#api/kinds/request-authentication.ts';

import { appliesTo } from '../attach.ts';
import { type CompiledPolicies, compilePolicies, type PolicyInput } from '../compile.ts';
import { describe } from '../explain.ts';
import { judge, type Outcome } from '../judge.ts';
import { type Asked, askedOf } from './asked.ts';
import { boxesOf } from './boxes.ts';
import { carriagesOf } from './carriages.ts';
import { type Carriage, type Draft, draftOf, recordedOf } from './draft.ts';
import { findDifferences } from './search.ts';
import { type Preferred, type Space, spaceOf } from './space.ts';
import type { Variable } from './subject.ts';

export interface CompareOptions {
  readonly preferred: Preferred;
  /** So many combinations of values are looked at for a workload; beyond it nothing is proven. */
  readonly combinationsMax?: number;
}

export interface Comparison {
  /** One for each pair of deciders. */
  readonly differences: readonly CallDifference[];
  /** Why there may be more of them; empty: there are none, for the calls that are modelled. */
  readonly unproven: readonly string[];
  /** Combinations of values that were looked at. */
  readonly combinations: number;
}

export interface CallDifference {
  readonly example: Draft;
  /** What must be said of the example: all else of it is everyday. */
  readonly said: ReadonlySet<Variable>;
  readonly old: Judgement;
  readonly new: Judgement;
  /** Kinds of calls between which these deciders tell no difference. */
  readonly classes: number;
}

export interface Judgement {
  readonly allowed: boolean;
  readonly decision: Outcome['decision'];
  /** `namespace/name`; null: no rule decided. */
  readonly policy: string | null;
  readonly rule: number | null;
  /** `file:line`. */
  readonly at: string | null;
  /** A sentence, with the place in it. */
  readonly reason: string;
}

const combinationsMaxByDefault = 500_000;

/**
 * A call that is refused on both sides is no difference, whoever refuses it.
 * @param before the workload as it was, with all policies; `after`, as it will be
 */
export async function compareWorkload(
  before: PolicyInput,
  after: PolicyInput,
  options: CompareOptions,
): Promise<Comparison> {
  const sides = [compilePolicies(before), compilePolicies(after)] as const;
  const asked = sides.map(askedOf);
  const [askedBefore = new Map(), askedAfter = new Map()] = asked;
  const all = [...askedBefore.values(), ...askedAfter.values()];
  const space = spaceOf(sides, all, options.preferred);
  const vague = [...notUnderstood(all), ...headerProblems(sides, [...space.dimensions.keys()])];
  const unproven = [...space.problems, ...tokenProblems([before, after], vague)];
  if (sides[0].normalization !== sides[1].normalization) {
    unproven.push('the sides normalise paths differently (meshConfig.pathNormalization)');
  }
  const pairs = new Map<string, CallDifference>();
  let combinations = 0;
  const combinationsMax = options.combinationsMax ?? combinationsMaxByDefault;
  const sizes = new Map([...space.dimensions].map(([name, { atoms }]) => [name, atoms.length]));
  for (const carriage of carriagesOf(sides, [before, after].flatMap(portsOf), all)) {
    const [old, now] = [askedBefore, askedAfter].map((those, i) =>
      boxesOf(
        {
          policies: sides[i] as CompiledPolicies,
          asked: those,
          space,
          preferred: options.preferred,
        },
        carriage,
      ),
    );
    if (old === undefined || now === undefined) continue;
    const found = findDifferences(old, now, {
      sizes,
      combinationsMax: combinationsMax - combinations,
    });
    combinations += found.combinations;
    for (const { picks, classes } of found.differences) {
      const example = exampleOf(space, picks, carriage, options.preferred);
      const judged = await judgeBoth(sides, example);
      if (judged === null) {
        // It may be one, if the fields that are not understood are as it needs them.
        unproven.push(...vague);
        if (unproven.length > 0) continue;
        throw new Error(`not a difference after all: ${JSON.stringify(example)}`);
      }
      const said = new Set(space.dimensions.keys());
      keep(pairs, { example, said, classes, ...judged });
    }
    if (!found.complete) {
      unproven.push(`more than ${combinationsMax} combinations of values`);
      break;
    }
  }
  return { differences: [...pairs.values()], unproven: [...new Set(unproven)], combinations };
}

function portsOf({ workload, policies }: PolicyInput): number[] {
  const levels = policies.flatMap((policy) =>
    policy.kind === 'PeerAuthentication' ? Object.keys(policy.spec.portLevelMtls ?? {}) : [],
  );
  return [...workload.ports.map(({ port }) => port), ...levels.map(Number)];
}

/** One example for each pair of deciders. */
function keep(pairs: Map<string, CallDifference>, difference: CallDifference): void {
  const { old, new: now } = difference;
  const pair = [old, now].map((one) => `${one.decision} ${one.policy} ${one.rule}`).join(' ');
  const known = pairs.get(pair);
  if (known === undefined) pairs.set(pair, difference);
  else pairs.set(pair, { ...known, classes: known.classes + difference.classes });
}

function exampleOf(
  space: Space,
  picks: ReadonlyMap<Variable, number>,
  carriage: Carriage,
  preferred: Preferred,
): Draft {
  const atoms = [...space.dimensions.values()].flatMap(({ variable, atoms: own }) => {
    // A token where none is needed would only be in the way: the first value of each variable is the plainest.
    const atom = own[picks.get(variable) ?? 0];
    return atom === undefined ? [] : [atom];
  });
  return draftOf(preferred, carriage, atoms);
}

/** From the first byte on, as a sidecar does; null: both say the same. */
async function judgeBoth(
  [before, after]: readonly [CompiledPolicies, CompiledPolicies],
  example: Draft,
): Promise<{ old: Judgement; new: Judgement } | null> {
  const old = await judgeExample(before, example);
  const now = await judgeExample(after, example);
  return old.allowed === now.allowed ? null : { old, new: now };
}

async function judgeExample(policies: CompiledPolicies, example: Draft): Promise<Judgement> {
  const { authorizers, claims } = example;
  const outcome = await judge(policies, recordedOf(example), {
    authorizer: async ({ name }) => authorizers[name] ?? true,
    ...(claims === null ? {} : { claims }),
  });
  return judgementOf(policies, outcome);
}

/** What an outcome comes down to. */
export function judgementOf(policies: CompiledPolicies, outcome: Outcome): Judgement {
  const { decision, verdict, explanation, protocol } = outcome;
  const named = verdict !== null && verdict.policy !== '';
  const reason =
    verdict === null || explanation === null
      ? outcome.reason
      : describe(protocol === 'tcp' ? policies.tcp : policies.http, verdict);
  return {
    allowed: decision === 'allow',
    decision,
    policy: named ? `${verdict.namespace}/${verdict.policy}` : null,
    rule: named ? verdict.rule : null,
    at: explanation?.at ?? null,
    reason,
  };
}

function notUnderstood(all: readonly Asked[]): string[] {
  const fields = all
    .filter(({ subject }) => subject.variable.startsWith('other:'))
    .map(({ condition }) => condition.field.replace('.notValues', ''));
  return [...new Set(fields)].map(
    (field) => `${field} is not among the fields that are understood`,
  );
}

/**
 * Which keys verify a token, and where it is looked for, is not searched: it must be the same on both sides.
 * @param vague what depends on how tokens change a request
 */
function tokenProblems(sides: readonly PolicyInput[], vague: readonly string[]): string[] {
  const [before = new Map<string, string>(), after = new Map<string, string>()] =
    sides.map(rulesByIssuer);
  const same = JSON.stringify([...before]) === JSON.stringify([...after]);
  return [
    ...(same ? [] : vague),
    ...[...before]
      .filter(([issuer, rules]) => after.has(issuer) && after.get(issuer) !== rules)
      .map(([issuer]) => `the sides take tokens of ${issuer} from other places or by other keys`),
  ];
}

function rulesByIssuer({ policies, workload, mesh }: PolicyInput): Map<string, string> {
  const byIssuer = new Map<string, string>();
  for (const policy of policies) {
    if (policy.kind !== 'RequestAuthentication') continue;
    if (!appliesTo(policy, workload, mesh.rootNamespace)) continue;
    for (const rule of policy.spec.jwtRules) {
      byIssuer.set(rule.issuer, `${byIssuer.get(rule.issuer) ?? ''}${lookOf(rule)}\n`);
    }
  }
  return byIssuer;
}

function lookOf(rule: JwtRule): string {
  const { jwks, jwksUri, fromHeaders, fromParams, fromCookies, spaceDelimitedClaims } = rule;
  return JSON.stringify([
    jwks,
    jwksUri,
    fromHeaders,
    fromParams,
    fromCookies,
    spaceDelimitedClaims,
  ]);
}

/** Headers that tokens come in, or that are made of them, do not vary freely. */
function headerProblems(
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
