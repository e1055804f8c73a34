// Calls to one workload whose verdict differs between two sets of policies, found without any recording; or that none does.
import { type CompiledPolicies, compilePolicies, type PolicyInput } from '../compile.ts';
import { judge } from '../judge.ts';
import { askedOf } from './asked.ts';
import { boxesOf } from './boxes.ts';
import { carriagesOf } from './carriages.ts';
import { type Carriage, type Draft, draftOf, factsOf, recordedOf } from './draft.ts';
import { gapsOf } from './gaps.ts';
import { type Judgement, judgementOf, judgeRelayed } from './judgement.ts';
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

const combinationsMaxByDefault = 500_000;

/**
 * A call that is refused on both sides is no difference, whoever refuses it. Calls are HTTP requests and TCP connections, in
 * plaintext, by mutual TLS of a workload of the mesh or by TLS of others, with at most one token, whose signature is good;
 * requests that no rule ever sees (malformed ones) are none of them.
 * @param before the workload as it was, with all policies; `after`, as it will be
 */
export async function compareWorkload(
  before: PolicyInput,
  after: PolicyInput,
  { preferred, combinationsMax = combinationsMaxByDefault }: CompareOptions,
): Promise<Comparison> {
  const sides = [compilePolicies(before), compilePolicies(after)] as const;
  const [old, now] = [askedOf(sides[0]), askedOf(sides[1])];
  const asked = [...old.values(), ...now.values()];
  const space = spaceOf(sides, asked, preferred);
  const variables = [...space.dimensions.keys()];
  const gaps = gapsOf([before, after], sides, asked, variables);
  const unproven = new Set([...space.problems, ...gaps.unproven]);
  const sizes = new Map([...space.dimensions].map(([name, { atoms }]) => [name, atoms.length]));
  const pairs = new Map<string, CallDifference>();
  let combinations = 0;
  for (const carriage of carriagesOf(sides, [before, after].flatMap(portsOf), asked)) {
    const found = findDifferences(
      boxesOf({ policies: sides[0], asked: old, space, preferred }, carriage),
      boxesOf({ policies: sides[1], asked: now, space, preferred }, carriage),
      { sizes, combinationsMax: combinationsMax - combinations },
    );
    combinations += found.combinations;
    if (!found.complete) unproven.add(`more than ${combinationsMax} combinations of values`);
    for (const { picks, classes } of found.differences) {
      const example = exampleOf(space, picks, carriage, preferred);
      const judged = await judgeBoth(sides, example);
      // It may be one, if the fields that are not understood are as it needs them.
      if (judged === null) for (const reason of gaps.vague) unproven.add(reason);
      else keep(pairs, { example, said: new Set(variables), classes, ...judged });
      if (judged === null && unproven.size === 0) {
        throw new Error(`the solver is wrong about ${JSON.stringify(example)}`);
      }
    }
    if (!found.complete) break;
  }
  return { differences: [...pairs.values()], unproven: [...unproven], combinations };
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
  const { authorizers, claims, carriage } = example;
  if (carriage.relayed === true) {
    return judgeRelayed(policies, factsOf(example).connection, authorizers);
  }
  const outcome = await judge(policies, recordedOf(example), {
    authorizer: async ({ name }) => authorizers[name] ?? true,
    ...(claims === null ? {} : { claims }),
  });
  return judgementOf(policies, outcome);
}
