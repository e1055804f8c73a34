// The policies of one side for one way of calling, as boxes: the values of each variable for which a rule matches.
import type { CompiledPolicies } from '../compile.ts';
import type { Condition } from '../conditions/condition.ts';
import type { CompiledRule } from '../rule-group.ts';
import { admitTransport, chooseProtocol } from '../transport.ts';
import type { Asked } from './asked.ts';
import { type Carriage, draftOf, factsOf } from './draft.ts';
import { admissions, isOfToken, type Preferred, type Space } from './space.ts';
import type { Variable } from './subject.ts';
import { tokenColumns } from './token-atoms.ts';

/** A call is in it when each variable has a value with a 1; variables that it does not name are free. */
export interface Box {
  /** Of several that a call is in, the least one decides. */
  readonly order: number;
  readonly columns: ReadonlyMap<Variable, Uint8Array>;
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

/** Everything, refused by whom it may be. */
const everything: ReadonlyMap<Variable, Uint8Array> = new Map();

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
  { port, mtls, kind }: Carriage,
): 'http' | 'tcp' | null {
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
    const whats = tos.map((clause) => this.#meet(null, clause, token));
    return froms.flatMap((from) => {
      const who = this.#meet(null, from, token);
      if (who === null) return [];
      return tos.flatMap((to, i) => {
        if (whats[i] === null) return [];
        const columns = this.#meet(who, to, token);
        return columns === null ? [] : [{ order, columns }];
      });
    });
  }

  /** Where all conditions of a clause hold too; null: nowhere. */
  #meet(
    within: ReadonlyMap<Variable, Uint8Array> | null,
    clause: readonly Condition[],
    token: boolean,
  ): Map<Variable, Uint8Array> | null {
    const columns = new Map<Variable, Uint8Array>(within);
    for (const condition of clause) {
      const variable = this.#variableOf(condition);
      if (variable === null || (isOfToken(variable) && !token)) {
        if (!this.#holdsAnyway(condition)) return null;
        continue;
      }
      const column = this.#side.space.column(condition, variable, this.#carriage.kind);
      const both = meetColumns(columns.get(variable), column);
      if (!both.includes(1)) return null;
      columns.set(variable, both);
    }
    return columns;
  }

  /** What varies; null: nothing does for this way of calling. */
  #variableOf(condition: Condition): Variable | null {
    const { kind, mtls } = this.#carriage;
    const named = this.#side.asked.get(condition)?.subject.variable ?? null;
    if (named === null || named === 'port' || named === 'nothing') return null;
    if (!mtls && (named === 'identity' || named === 'sni')) return null;
    const variable = named === 'remote.ip' && kind === 'tcp' ? 'source.ip' : named;
    return this.#side.space.dimensions.has(variable) ? variable : null;
  }

  /** For a call that has everyday values, and no token. */
  #holdsAnyway({ holds }: Condition): boolean {
    const { connection, request } = factsOf(draftOf(this.#side.preferred, this.#carriage, []));
    return holds === null || holds(connection, request);
  }
}

function restricted(box: Box, variable: Variable, column: Uint8Array): Box | null {
  const both = meetColumns(box.columns.get(variable), column);
  return both.includes(1) ? { ...box, columns: new Map([...box.columns, [variable, both]]) } : null;
}

function meetColumns(a: Uint8Array | undefined, b: Uint8Array): Uint8Array {
  return a === undefined ? b : a.map((bit, i) => bit & (b[i] ?? 0));
}
