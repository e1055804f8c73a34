// All calls that matter, variable by variable: one value for each combination of conditions that some value meets.
import { KNOWN_METHODS } from '../request.ts';
import type { CompiledPolicies } from '../compile.ts';
import type { Condition } from '../conditions/condition.ts';
import { readClaimPath } from '../match/claims.ts';
import { sampleAddresses } from './addresses.ts';
import type { Asked } from './asked.ts';
import { type Atom, type Carriage, draftOf, type Everyday, factsOf } from './draft.ts';
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
import { unions } from './unions.ts';

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
}

/** @param asked all conditions of both sides */
export function spaceOf(
  sides: readonly CompiledPolicies[],
  asked: readonly Asked[],
  preferred: Preferred,
): Space {
  const problems: string[] = [];
  const dimensions = new Map<Variable, Dimension>();
  const columns = new Map<string, Map<Condition, Uint8Array>>();
  const column: Space['column'] = (condition, variable, kind) => {
    const name = `${kind} ${variable}`;
    const known = columns.get(name) ?? new Map<Condition, Uint8Array>();
    columns.set(name, known);
    let found = known.get(condition);
    if (found === undefined) {
      found = columnOf(condition, dimensions.get(variable)?.atoms ?? [], kind, preferred);
      known.set(condition, found);
    }
    return found;
  };
  for (const variable of variablesOf(sides, asked)) {
    const own = asked.filter((one) => concerns(one, variable));
    const atoms = atomsOf(variable, own, sides, preferred, problems);
    const carriage = { ...everyCarriage, kind: 'http' } as const;
    const bits = own.map(({ condition }) => columnOf(condition, atoms, carriage.kind, preferred));
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
  return { dimensions, problems: [...problems, ...entangled([...dimensions.keys()])], column };
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
    if (variable === null || variable === 'port' || variable === 'nothing') continue;
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

function columnOf(
  { holds }: Condition,
  atoms: readonly Atom[],
  kind: Carriage['kind'],
  preferred: Preferred,
): Uint8Array {
  return Uint8Array.from(atoms, (atom) => {
    const { connection, request } = factsOf(
      draftOf(preferred, { ...everyCarriage, kind }, [withToken(atom)]),
    );
    return holds === null || holds(connection, request) ? 1 : 0;
  });
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
      return keyedAtoms(variable, asked, sample, problems);
  }
}

function keyedAtoms(
  variable: Variable,
  asked: readonly Asked[],
  sample: (language: Language) => string[],
  problems: string[],
): readonly Atom[] {
  const [, kind, name = ''] = /^(\w+):(.*)$/s.exec(variable) ?? [];
  if (kind === 'authorizer')
    return [true, false].map((answer) => ({ authorizers: { [name]: answer } }));
  if (kind === 'header') {
    const make = (lines: readonly string[]): Atom => ({ headers: { [name]: lines } });
    return unions(
      sample(headerText),
      testsOf(asked, (value) => make([value])),
      variable,
      problems,
    ).map(make);
  }
  const path = readClaimPath(name) ?? [];
  const make = (list: readonly string[]): Atom => ({ claim: { path, value: claimOf(list) } });
  return unions(
    sample(anyText),
    testsOf(asked, (value) => make([value])),
    variable,
    problems,
  ).map(make);
}

/** What one value more adds, for each condition: whether it is among those that are named. */
function testsOf(
  asked: readonly Asked[],
  make: (value: string) => Atom,
): ((value: string) => boolean)[] {
  return asked.map(({ condition, negative }) => (value) => {
    const facts = { host: '', identity: '', identities: [] };
    return (columnOf(condition, [make(value)], 'http', facts)[0] === 1) !== negative;
  });
}

/** A text that nothing splits, else a list. */
function claimOf(list: readonly string[]): unknown {
  const [only] = list;
  if (only === undefined) return undefined;
  return list.length === 1 && only !== '' && !only.includes(' ') ? only : list;
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
