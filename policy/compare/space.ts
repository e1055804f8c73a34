// All calls that matter, variable by variable: one value for each combination of conditions that some value meets.
import { KNOWN_METHODS } from '../request.ts';
import type { CompiledPolicies } from '../compile.ts';
import type { Condition } from '../conditions/condition.ts';
import { readClaimPath } from '../match/claims.ts';
import { sampleAddresses } from './addresses.ts';
import type { Asked } from './asked.ts';
import {
  type Atom,
  type Carriage,
  draftOf,
  type DraftFacts,
  type Everyday,
  factsOf,
} from './draft.ts';
import {
  anyText,
  headerText,
  hostText,
  identityText,
  type Language,
  pathText,
  serverNameText,
} from './language.ts';
import { sampleTexts } from './samples.ts';
import type { Shape } from './shape.ts';
import type { Variable } from './subject.ts';
import { tokenAtoms, tokenColumns } from './token-atoms.ts';
import { admitPeer } from '../transport.ts';

/** Everyday values, which examples have where they may. */
export interface Preferred extends Everyday {
  /** Whole, of accounts that there are. */
  readonly identities: readonly string[];
}

/** One variable. */
export interface Dimension {
  readonly variable: Variable;
  readonly atoms: readonly Atom[];
}

export interface Space {
  readonly dimensions: ReadonlyMap<Variable, Dimension>;
  /** Why not every call has its like in here. */
  readonly problems: readonly string[];
  /** Which values of a variable meet a condition, 1 or 0 each. @param kind TCP has no claims and no headers */
  column(condition: Condition, variable: Variable, kind: Carriage['kind']): Uint8Array;
  /** The values, of a variable that may have several, that a condition names: each a variable. */
  named(condition: Condition, variable: Variable): readonly Variable[];
}

/** @param asked all conditions of both sides */
export function spaceOf(
  sides: readonly CompiledPolicies[],
  asked: readonly Asked[],
  preferred: Preferred,
): Space {
  const problems: string[] = [];
  const dimensions = new Map<Variable, Dimension>();
  const columns = new Map<string, ColumnsOfVariable>();
  const several = new Map<Variable, readonly Several[]>();
  const column: Space['column'] = (condition, variable, kind) => {
    const name = `${kind} ${variable}`;
    let known = columns.get(name);
    if (known === undefined) {
      const { atoms = [] } = dimensions.get(variable) ?? {};
      columns.set(
        name,
        (known = { calls: callsOf(atoms, kind, preferred), byCondition: new Map() }),
      );
    }
    let found = known.byCondition.get(condition);
    if (found === undefined) {
      const own = columnOf(condition, known.calls);
      // Both values are an everyday call, which the second says otherwise of.
      found = isOther(variable) ? own.map((bit, i) => bit ^ i) : own;
      known.byCondition.set(condition, found);
    }
    return found;
  };
  for (const variable of variablesOf(sides, asked)) {
    const own = asked.filter((one) => concerns(one, variable));
    if (isOther(variable)) {
      dimensions.set(variable, { variable, atoms: [{}, {}] });
      continue;
    }
    if (isSeveral(variable)) {
      const values = severalOf(variable, own, problems);
      several.set(variable, values);
      for (const { variable: one, atom } of values)
        dimensions.set(one, { variable: one, atoms: [{}, atom] });
      continue;
    }
    const atoms = atomsOf(variable, own, sides, preferred, problems);
    const calls = callsOf(atoms, 'http', preferred);
    const bits = own.map(({ condition }) => columnOf(condition, calls));
    if (variable === 'identity') bits.push(...sides.map((side) => admissions(side, atoms)));
    if (variable === 'token') {
      for (const side of sides) {
        const { believed, refused } = tokenColumns(side, atoms, preferred);
        bits.push(believed, refused);
      }
    }
    const kept = variable.startsWith('authorizer:') ? atoms : apart(atoms, bits);
    dimensions.set(variable, { variable, atoms: kept });
  }
  return {
    dimensions,
    problems: [...problems, ...entangled([...several.keys()])],
    column,
    named: (condition, variable) =>
      (several.get(variable) ?? []).flatMap((one) =>
        one.namedBy.has(condition) ? [one.variable] : [],
      ),
  };
}

/** What is worked out once. */
interface ColumnsOfVariable {
  readonly calls: readonly DraftFacts[];
  readonly byCondition: Map<Condition, Uint8Array>;
}

/** One value that may be there. */
interface Several {
  readonly variable: Variable;
  readonly atom: Atom;
  /** Conditions among whose values it is, also where it must not be. */
  readonly namedBy: ReadonlySet<Condition>;
}

/** Whether nothing more is known of a field than that it may meet a condition or not. */
export function isOther(variable: Variable): boolean {
  return variable.startsWith('other:');
}

/** Whether a field may have several values. */
export function isSeveral(variable: Variable): boolean {
  return variable.startsWith('header:') || variable.startsWith('claim:');
}

const everyCarriage = { port: 1, mtls: true } as const;

/** Which identities may connect at all. */
export function admissions(policies: CompiledPolicies, atoms: readonly Atom[]): Uint8Array {
  return Uint8Array.from(atoms, ({ identity = '' }) => Number(admitPeer(policies, [identity]).ok));
}

/** Whether a condition looks at a variable; addresses of clients are those of peers on TCP. */
function concerns({ subject }: Asked, variable: Variable): boolean {
  if (subject.variable === variable) return true;
  return variable === 'source.ip' && subject.variable === 'remote.ip';
}

function variablesOf(sides: readonly CompiledPolicies[], asked: readonly Asked[]): Set<Variable> {
  const variables = new Set<Variable>(['identity']);
  for (const { subject } of asked) {
    const { variable } = subject;
    if (variable === 'port' || variable === 'nothing') continue;
    // Without an issuer there is no token, and all that is said of one is settled.
    if (isOfToken(variable) && sides.every(({ tokens }) => tokens === null)) continue;
    variables.add(variable);
    if (variable === 'remote.ip') variables.add('source.ip');
  }
  if (sides.some(({ tokens }) => tokens !== null)) variables.add('token');
  for (const { http, tcp } of sides) {
    for (const { provider } of [...http.custom, ...tcp.custom]) {
      if (provider !== null) variables.add(`authorizer:${provider.name}`);
    }
  }
  return variables;
}

export function isOfToken(variable: string): boolean {
  return variable === 'token' || variable.startsWith('claim:');
}

function columnOf({ holds }: Condition, calls: readonly DraftFacts[]): Uint8Array {
  return Uint8Array.from(calls, ({ connection, request }) =>
    holds === null || holds(connection, request) ? 1 : 0,
  );
}

/** A call for each value, everyday but for it. */
function callsOf(atoms: readonly Atom[], kind: Carriage['kind'], everyday: Everyday): DraftFacts[] {
  const carriage = { ...everyCarriage, kind };
  return atoms.map((atom) => factsOf(draftOf(everyday, carriage, [withToken(atom)])));
}

/** A claim is looked at in a token that has nothing else. */
function withToken(atom: Atom): Atom {
  return atom.claim === undefined ? atom : { ...atom, claims: {} };
}

/** The first of those that no column tells apart. */
function apart(atoms: readonly Atom[], columns: readonly Uint8Array[]): readonly Atom[] {
  const seen = new Set<string>();
  return atoms.filter((_, i) => {
    const bits = columns.map((column) => column[i]).join('');
    if (seen.has(bits)) return false;
    seen.add(bits);
    return true;
  });
}

function atomsOf(
  variable: Variable,
  asked: readonly Asked[],
  sides: readonly CompiledPolicies[],
  preferred: Preferred,
  problems: string[],
): readonly Atom[] {
  const shapes = asked.flatMap(({ subject }) => subject.shapes);
  const values = asked.flatMap(({ subject }) => subject.values);
  const sample = (language: Language, first: readonly string[] = []): string[] =>
    textsOf(variable, shapes, language, first, problems);
  switch (variable) {
    case 'identity': {
      const domains = [...new Set(sides.flatMap(({ trustDomains }) => trustDomains))];
      return sample(identityText(domains), preferred.identities).map((identity) => ({ identity }));
    }
    case 'source.ip':
      return ['10.0.0.1', ...sampleAddresses(values, true)].map((sourceIp) => ({ sourceIp }));
    case 'remote.ip':
      return ['10.0.0.1', ...sampleAddresses(values, false)].map((remoteIp) => ({ remoteIp }));
    case 'destination.ip':
      return ['10.0.0.2', ...sampleAddresses(values, true)].map((destinationIp) => ({
        destinationIp,
      }));
    case 'sni':
      return sample(serverNameText).map((sni) => ({ sni }));
    case 'method':
      return [...KNOWN_METHODS].filter((one) => one !== 'CONNECT').map((method) => ({ method }));
    case 'host':
      return sample(hostText, [preferred.host]).map((host) => ({ host }));
    case 'path':
      return sample(pathText(sides[0]?.normalization ?? 'DEFAULT'), ['/']).map((path) => ({
        path,
      }));
    case 'token':
      return tokenAtoms(sides, asked, problems);
    default:
      return [true, false].map((answer) => ({
        authorizers: { [variable.slice('authorizer:'.length)]: answer },
      }));
  }
}

/** A value for each set of conditions that some value is named by. */
function severalOf(
  variable: Variable,
  asked: readonly Asked[],
  problems: string[],
): readonly Several[] {
  const name = variable.slice(variable.indexOf(':') + 1);
  const isHeader = variable.startsWith('header:');
  const shapes = asked.flatMap(({ subject }) => subject.shapes);
  const texts = textsOf(variable, shapes, isHeader ? headerText : anyText, [], problems);
  const path = isHeader ? [] : (readClaimPath(name) ?? []);
  const atoms = texts.map((text): Atom =>
    isHeader ? { headers: { [name]: [text] } } : { claim: { path, values: [text] } },
  );
  const calls = callsOf(atoms, 'http', { host: '', identity: '' });
  const columns = asked.map(({ condition, negative }) => {
    const column = columnOf(condition, calls);
    return negative ? column.map((bit) => 1 - bit) : column;
  });
  return apart(atoms, columns).flatMap((atom, i): Several[] => {
    const at = atoms.indexOf(atom);
    const namedBy = new Set(
      asked.filter((_, k) => columns[k]?.[at] === 1).map((one) => one.condition),
    );
    return namedBy.size === 0
      ? []
      : [{ variable: `${variable as `header:${string}`}#${i}`, atom, namedBy }];
  });
}

function textsOf(
  variable: Variable,
  shapes: readonly Shape[],
  language: Language,
  first: readonly string[],
  problems: string[],
): string[] {
  const { texts, complete } = sampleTexts(shapes, language);
  if (!complete) problems.push(`the patterns of ${variable} are too many to be told apart`);
  return [...new Set([...first, ...texts])];
}

/** A claim that is a text for one condition and an object for another. */
function entangled(variables: readonly Variable[]): string[] {
  const claims = variables.filter((variable) => variable.startsWith('claim:'));
  return claims
    .filter((outer) => claims.some((inner) => inner !== outer && inner.startsWith(outer)))
    .map((outer) => `${outer} is asked for both whole and by its parts`);
}
