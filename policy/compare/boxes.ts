// The policies of one side for one way of calling, as boxes: the values of each variable for which a rule matches.
import type { CompiledPolicies } from '../compile.ts';
import type { Condition } from '../conditions/condition.ts';
import type { CompiledRule } from '../rule-group.ts';
import { admitTransport, chooseProtocol } from '../transport.ts';
import type { Asked } from './asked.ts';
import { type Carriage, draftOf, factsOf } from './draft.ts';
import { admissions, isOfToken, isSeveral, type Preferred, type Space } from './space.ts';
import type { Variable } from './subject.ts';
import { tokenColumns } from './token-atoms.ts';

/** A call is in it when each variable has a value with a 1; variables that it does not name are free. */
export interface Box {
  /** Of several that a call is in, the least one decides. */
  readonly order: number;
  readonly columns: Columns;
}

/** A call is allowed when no box refuses it and, unless `allow` is null, some box allows it. */
export interface Boxes {
  readonly refuse: readonly Box[];
  readonly allow: readonly Box[] | null;
}

export interface SideOptions {
  readonly policies: CompiledPolicies;
  readonly asked: ReadonlyMap<Condition, Asked>;
  readonly space: Space;
  readonly preferred: Preferred;
}

type Columns = ReadonlyMap<Variable, Uint8Array>;

/** Every call. */
const everything: Columns = new Map();

export function boxesOf(side: SideOptions, carriage: Carriage): Boxes {
  const chain = chainOf(side.policies, carriage);
  if (chain === null) return { refuse: [{ order: 0, columns: everything }], allow: null };
  const rules = chain === 'http' ? side.policies.http : side.policies.tcp;
  const maker = new BoxMaker(side, { ...carriage, kind: chain });
  const refuse = [...maker.strangers()];
  for (const { provider, group } of rules.custom) {
    const name = provider === null ? null : provider.name;
    for (const rule of group.rules) refuse.push(...maker.asking(rule, name));
  }
  if (chain === 'http') refuse.push(...maker.badTokens());
  for (const rule of rules.deny.rules) refuse.push(...maker.ofRule(rule));
  const allow = rules.allow?.rules.flatMap((rule) => maker.ofRule(rule)) ?? null;
  return { refuse, allow };
}

/** Which rules judge; null: the connection comes to none, or its bytes are no request. */
export function chainOf(
  policies: CompiledPolicies,
  { port, mtls, kind, relayed = false }: Carriage,
): 'http' | 'tcp' | null {
  if (relayed) {
    const { kind: admitted } = admitTransport(policies, port, { alpn: [], sni: '' });
    return admitted === 'opaque' ? 'tcp' : null;
  }
  const alpn = kind === 'http' ? 'istio-http/1.1' : 'istio-peer-exchange';
  const hello = mtls ? { alpn: [alpn, 'istio'], sni: '' } : null;
  const transport = admitTransport(policies, port, hello).kind;
  if (transport === 'refused' || transport === 'opaque') return null;
  const carried = mtls ? 'mtls' : 'plaintext';
  const chain = chooseProtocol(
    policies,
    port,
    carried,
    mtls ? alpn : '',
    kind === 'http' ? 'http1' : 'other',
  );
  return kind === 'tcp' && chain === 'http' ? null : chain;
}

class BoxMaker {
  readonly #side: SideOptions;
  readonly #carriage: Carriage;
  readonly #token: ReturnType<typeof tokenColumns> | null;
  #order = 0;

  constructor(side: SideOptions, carriage: Carriage) {
    this.#side = side;
    this.#carriage = carriage;
    const token = side.space.dimensions.get('token');
    this.#token =
      token === undefined ? null : tokenColumns(side.policies, token.atoms, side.preferred);
  }

  /** Peers of trust domains that are not the mesh's. */
  strangers(): Box[] {
    const { policies, space } = this.#side;
    const atoms = space.dimensions.get('identity')?.atoms ?? [];
    const order = this.#order++;
    if (!this.#carriage.mtls) return [];
    const column = admissions(policies, atoms).map((bit) => 1 - bit);
    return column.includes(1) ? [{ order, columns: new Map([['identity', column]]) }] : [];
  }

  badTokens(): Box[] {
    const order = this.#order++;
    if (this.#token === null) return [];
    const { refused } = this.#token;
    return refused.includes(1) ? [{ order, columns: new Map([['token', refused]]) }] : [];
  }

  /** A rule that asks an authorizer: it refuses what that refuses, and all when it is unknown. Tokens come later. */
  asking(rule: CompiledRule, authorizer: string | null): Box[] {
    const order = this.#order++;
    const boxes = this.#boxes(rule, order, false);
    if (authorizer === null) return boxes;
    const refusal = new Map<Variable, Uint8Array>([
      [`authorizer:${authorizer}`, Uint8Array.of(0, 1)],
    ]);
    return boxes.map(({ columns }) => ({ order, columns: new Map([...columns, ...refusal]) }));
  }

  ofRule(rule: CompiledRule): Box[] {
    const order = this.#order++;
    if (this.#token === null || !this.#asksForToken(rule)) return this.#boxes(rule, order, false);
    const { believed } = this.#token;
    const without = Uint8Array.from(believed, (bit) => 1 - bit);
    const boxes = [
      ...this.#boxes(rule, order, true).map((box) => restricted(box, 'token', believed)),
      ...this.#boxes(rule, order, false).map((box) => restricted(box, 'token', without)),
    ];
    return boxes.filter((box) => box !== null);
  }

  #asksForToken({ froms, tos }: CompiledRule): boolean {
    return [...froms, ...tos]
      .flat()
      .some((condition) => isOfToken(this.#variableOf(condition) ?? ''));
  }

  /** @param token a token is believed; else rules see none */
  #boxes({ froms, tos }: CompiledRule, order: number, token: boolean): Box[] {
    return froms
      .flatMap((from) => this.#meet([everything], from, token))
      .flatMap((who) => tos.flatMap((to) => this.#meet([who], to, token)))
      .map((columns) => ({ order, columns }));
  }

  /** Where all conditions of a clause hold too: in any of these. */
  #meet(
    within: readonly Columns[],
    clause: readonly Condition[],
    token: boolean,
  ): readonly Columns[] {
    let all = within;
    for (const condition of clause) {
      const variable = this.#variableOf(condition);
      if (variable === null || (isOfToken(variable) && !token)) {
        if (!this.#holdsAnyway(condition)) return [];
        continue;
      }
      const ways = this.#waysOf(condition, variable);
      all = all.flatMap((columns) => ways.flatMap((way) => met(columns, way) ?? []));
    }
    return all;
  }

  /** One of several values must be there, or none of them. */
  #waysOf(condition: Condition, variable: Variable): readonly Columns[] {
    const { space, asked } = this.#side;
    if (!isSeveral(variable)) {
      return [new Map([[variable, space.column(condition, variable, this.#carriage.kind)]])];
    }
    const named = space.named(condition, variable);
    if (asked.get(condition)?.negative === true) {
      return [new Map(named.map((one) => [one, Uint8Array.of(1, 0)]))];
    }
    return named.map((one) => new Map([[one, Uint8Array.of(0, 1)]]));
  }

  /** What varies; null: nothing does for this way of calling. */
  #variableOf(condition: Condition): Variable | null {
    const { kind, mtls, relayed = false } = this.#carriage;
    const named = this.#side.asked.get(condition)?.subject.variable ?? 'nothing';
    if (named === 'port' || named === 'nothing') return null;
    if (!mtls && (named === 'identity' || (named === 'sni' && !relayed))) return null;
    const variable = named === 'remote.ip' && kind === 'tcp' ? 'source.ip' : named;
    const { dimensions } = this.#side.space;
    if (isOfToken(variable)) return dimensions.has('token') ? variable : null;
    return dimensions.has(variable) || isSeveral(variable) ? variable : null;
  }

  /** For a call that has everyday values, and no token. */
  #holdsAnyway({ holds }: Condition): boolean {
    const { connection, request } = factsOf(draftOf(this.#side.preferred, this.#carriage, []));
    return holds === null || holds(connection, request);
  }
}

function restricted(box: Box, variable: Variable, column: Uint8Array): Box | null {
  const columns = met(box.columns, new Map([[variable, column]]));
  return columns === null ? null : { ...box, columns };
}

/** Where both are; null: nowhere. */
function met(a: Columns, b: Columns): Columns | null {
  const both = new Map(a);
  for (const [variable, column] of b) {
    const own = a.get(variable);
    const narrowed = own === undefined ? column : own.map((bit, i) => bit & (column[i] ?? 0));
    if (!narrowed.includes(1)) return null;
    both.set(variable, narrowed);
  }
  return both;
}
