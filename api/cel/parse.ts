// Reads CEL: by precedence, into a tree whose nodes know where they stand.
import {
  celMacros,
  Wrong,
  type CelArithmetic,
  type CelFault,
  type CelMacro,
  type CelNode,
  type CelRelation,
} from './syntax.ts';
import { tokensOf, type Token } from './tokens.ts';

export const celCharactersMax = 4096;
const nodesMax = 500;
const depthMax = 50;

export function parseCel(text: string): CelNode | CelFault {
  if (text.length > celCharactersMax) {
    return { fault: `an expression has at most ${celCharactersMax} characters`, at: 0 };
  }
  try {
    return new Parser(tokensOf(text)).whole();
  } catch (error) {
    if (error instanceof Wrong) return { fault: error.message, at: error.at };
    throw error;
  }
}

const relations: ReadonlySet<string> = new Set(['==', '!=', '<', '<=', '>', '>=', 'in']);
const sums: ReadonlySet<string> = new Set(['+', '-']);
const products: ReadonlySet<string> = new Set(['*', '/', '%']);
const macros: ReadonlySet<string> = new Set(celMacros);

/** May name nothing (langdef, RESERVED). */
const reserved: ReadonlySet<string> = new Set(
  (
    'as break const continue else for function if import in let loop package namespace return var ' +
    'void while'
  ).split(' '),
);

class Parser {
  readonly #tokens: readonly Token[];
  #next = 0;
  #depth = 0;
  #nodes = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  whole(): CelNode {
    const node = this.#expression();
    if (this.#token.kind !== 'end') this.#fail('expected an operator');
    return node;
  }

  get #token(): Token {
    return this.#tokens[this.#next] ?? { kind: 'end', at: 0, text: '' };
  }

  #expression(): CelNode {
    this.#depth++;
    if (this.#depth > depthMax) this.#fail(`more than ${depthMax} expressions in each other`);
    const condition = this.#logic('||');
    const { at } = this.#token;
    if (!this.#take('?')) {
      this.#depth--;
      return condition;
    }
    const yes = this.#logic('||');
    this.#expect(':');
    const no = this.#expression();
    this.#depth--;
    return this.#made({ kind: 'choice', at, condition, yes, no });
  }

  #logic(operator: '&&' | '||'): CelNode {
    const { at } = this.#token;
    const terms: CelNode[] = [];
    do terms.push(operator === '||' ? this.#logic('&&') : this.#relation());
    while (this.#take(operator));
    const [first] = terms;
    if (terms.length === 1 && first !== undefined) return first;
    return this.#made({ kind: 'logic', at, operator, terms });
  }

  #relation(): CelNode {
    return this.#binary(relations, () => this.#sum());
  }

  #sum(): CelNode {
    return this.#binary(sums, () => this.#product());
  }

  #product(): CelNode {
    return this.#binary(products, () => this.#unary());
  }

  #binary(operators: ReadonlySet<string>, operand: () => CelNode): CelNode {
    let left = operand();
    for (;;) {
      const token = this.#token;
      if (token.kind === 'literal' || !operators.has(token.text)) return left;
      this.#next++;
      const operator = token.text as CelArithmetic | CelRelation;
      left = this.#made({ kind: 'binary', at: token.at, operator, left, right: operand() });
    }
  }

  #unary(): CelNode {
    const { at } = this.#token;
    const operator = this.#take('!') ? '!' : this.#take('-') ? '-' : null;
    if (operator === null) return this.#member();
    this.#depth++;
    if (this.#depth > depthMax) this.#fail(`more than ${depthMax} expressions in each other`);
    const of = this.#unary();
    this.#depth--;
    return this.#made({ kind: 'unary', at, operator, of });
  }

  #member(): CelNode {
    let node = this.#primary();
    for (;;) {
      const { at } = this.#token;
      if (this.#take('.')) {
        const name = this.#name('expected a name after the dot');
        node = this.#take('(')
          ? this.#method(at + 1, node, name)
          : this.#made({ kind: 'member', at: at + 1, of: node, name, tests: false });
      } else if (this.#take('[')) {
        const index = this.#expression();
        this.#expect(']');
        node = this.#made({ kind: 'index', at, of: node, index });
      } else return node;
    }
  }

  #primary(): CelNode {
    const token = this.#token;
    const { at } = token;
    if (token.kind === 'literal') {
      this.#next++;
      return this.#made({ kind: 'literal', at, ...token.literal });
    }
    if (this.#take('(')) {
      const inner = this.#expression();
      this.#expect(')');
      return inner;
    }
    if (this.#take('[')) {
      const items = this.#list(']', () => this.#expression());
      return this.#made({ kind: 'list', at, items });
    }
    if (this.#take('{')) {
      const entries = this.#list('}', () => this.#entry());
      return this.#made({ kind: 'map', at, entries });
    }
    this.#take('.');
    const name = this.#name('expected a value');
    if (reserved.has(name)) throw new Wrong(`"${name}" is a reserved word`, at);
    if (!this.#take('(')) return this.#made({ kind: 'name', at, name });
    const args = this.#list(')', () => this.#expression());
    return name === 'has'
      ? this.#presence(at, args)
      : this.#made({ kind: 'call', at, name, target: null, args });
  }

  #entry(): readonly [CelNode, CelNode] {
    const key = this.#expression();
    this.#expect(':');
    return [key, this.#expression()];
  }

  /** Up to the mark that closes it; a comma before that is allowed. */
  #list<Item>(close: string, item: () => Item): Item[] {
    const items: Item[] = [];
    while (!this.#take(close)) {
      if (items.length > 0) {
        if (!this.#take(',')) this.#fail(`expected , or ${close}`);
        if (close !== ')' && this.#take(close)) break;
      }
      items.push(item());
    }
    return items;
  }

  #presence(at: number, args: readonly CelNode[]): CelNode {
    const [of] = args;
    if (args.length === 1 && of?.kind === 'member' && !of.tests) {
      return this.#made({ ...of, tests: true });
    }
    throw new Wrong('has() takes one member, as has(request.referer)', at);
  }

  #method(at: number, target: CelNode, name: string): CelNode {
    const args = this.#list(')', () => this.#expression());
    const macro = name === 'existsOne' ? 'exists_one' : name;
    if (!macros.has(macro)) return this.#made({ kind: 'call', at, name, target, args });
    return this.#macro(at, target, macro as CelMacro, args);
  }

  #macro(at: number, of: CelNode, macro: CelMacro, args: readonly CelNode[]): CelNode {
    const [variable, first, second] = args;
    const counts = macro === 'map' ? [2, 3] : [2];
    if (variable?.kind !== 'name' || first === undefined || !counts.includes(args.length)) {
      throw new Wrong(`${macro}() takes a name and an expression, as ${macro}(x, x > 1)`, at);
    }
    const predicate = macro === 'map' && second === undefined ? null : first;
    const transform = macro === 'map' ? (second ?? first) : null;
    return this.#made({
      kind: 'macro',
      at,
      macro,
      of,
      variable: variable.name,
      predicate,
      transform,
    });
  }

  #made(node: CelNode): CelNode {
    if (++this.#nodes > nodesMax) {
      throw new Wrong(`an expression has at most ${nodesMax} parts`, node.at);
    }
    return node;
  }

  #name(wanted: string): string {
    const token = this.#token;
    if (token.kind !== 'name') return this.#fail(wanted);
    this.#next++;
    return token.text;
  }

  #expect(mark: string): void {
    if (!this.#take(mark)) this.#fail(`expected ${mark}`);
  }

  #take(mark: string): boolean {
    const token = this.#token;
    if (token.kind !== 'mark' || token.text !== mark) return false;
    this.#next++;
    return true;
  }

  #fail(wanted: string): never {
    const token = this.#token;
    const found = token.kind === 'literal' ? describe(token.literal.value) : `"${token.text}"`;
    throw new Wrong(`${wanted}, and found ${token.kind === 'end' ? 'the end' : found}`, token.at);
  }
}

function describe(value: unknown): string {
  return JSON.stringify(value)?.slice(0, 40) ?? '';
}
