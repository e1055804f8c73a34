// Compiles the nodes of CEL one by one; each closure gives a value, or undefined where CEL has an error.
import { Wrong, type CelNode } from '#api/cel/syntax.ts';
import { celTypeNames } from '#api/cel/vocabulary.ts';

import type { RegexFactory } from '../routing/regex.ts';
import { attributeReaders, type AttributeReaders } from './attributes.ts';
import { functionBodies } from './functions.ts';
import { compileMacro } from './macros.ts';
import { arithmetic, negate, relations, type BinaryOperator } from './operators.ts';
import type { Evaluate } from './scope.ts';
import {
  Double,
  equal,
  isList,
  isMap,
  numberOf,
  TypeName,
  Uint,
  WrittenMap,
  type CelResult,
  type CelValue,
} from './values.ts';

type Of<Kind extends CelNode['kind']> = CelNode & { kind: Kind };

/** A value, or part of the way to an attribute. */
type Compiled = Evaluate | AttributeReaders;

const never: Evaluate = () => undefined;

export class CelCompiler {
  /** Lower-case names of those that are read; null: all of them. */
  answerHeaders: Set<string> | null = new Set();
  readonly #regexes: RegexFactory;
  /** Variables of macros, the innermost last. */
  readonly #variables: string[] = [];

  constructor(regexes: RegexFactory) {
    this.#regexes = regexes;
  }

  /** @throws Wrong */
  evaluate(node: CelNode): Evaluate {
    const compiled = this.#compile(node);
    // `request` alone is no value.
    if (typeof compiled !== 'function') return never;
    if (isAnswerHeaders(compiled)) this.answerHeaders = null;
    return compiled;
  }

  #compile(node: CelNode): Compiled {
    switch (node.kind) {
      case 'literal':
        return constant(literalValue(node));
      case 'name':
        return this.#name(node);
      case 'member':
        return this.#member(node);
      case 'index':
        return this.#index(node);
      case 'call':
        return this.#call(node);
      case 'unary':
        return unary(node.operator, this.evaluate(node.of));
      case 'binary':
        return this.#binary(node);
      case 'logic':
        return logic(
          node.operator === '||',
          node.terms.map((term) => this.evaluate(term)),
        );
      case 'choice':
        return this.#choice(node);
      case 'list':
        return list(node.items.map((item) => this.evaluate(item)));
      case 'map':
        return map(node.entries.map(([key, value]) => [this.evaluate(key), this.evaluate(value)]));
      default:
        return this.#macro(node);
    }
  }

  #name({ name }: Of<'name'>): Compiled {
    const depth = this.#variables.lastIndexOf(name);
    if (depth >= 0) return ({ variables }) => variables[depth];
    if (Object.hasOwn(attributeReaders, name)) return attributeReaders[name] ?? never;
    return Object.hasOwn(celTypeNames, name) ? constant(new TypeName(name)) : never;
  }

  #member({ of, name, tests }: Of<'member'>): Compiled {
    const read = this.#inside(this.#compile(of), name);
    if (!tests) return read;
    if (typeof read !== 'function') return constant(true);
    return (scope) => read(scope) !== undefined;
  }

  #index({ of, index }: Of<'index'>): Compiled {
    const compiled = this.#compile(of);
    if (index.kind === 'literal' && index.type === 'string') {
      return this.#inside(compiled, index.value);
    }
    if (typeof compiled !== 'function') return never;
    const [container, key] = [this.evaluate(of), this.evaluate(index)];
    return (scope) => {
      const value = container(scope);
      const at = key(scope);
      return value === undefined || at === undefined ? undefined : item(value, at);
    };
  }

  /** A header of the answer that is named is kept alone. */
  #inside(compiled: Compiled, name: string): Compiled {
    if (typeof compiled !== 'function') {
      return Object.hasOwn(compiled, name) ? (compiled[name] ?? never) : never;
    }
    if (isAnswerHeaders(compiled)) this.answerHeaders?.add(name.toLowerCase());
    return (scope) => {
      const value = compiled(scope);
      return isMap(value) ? value.get(name) : undefined;
    };
  }

  #call({ name, target, args, at }: Of<'call'>): Evaluate {
    const nodes = target === null ? args : [target, ...args];
    if (name === 'matches') return this.#matches(nodes, at);
    const body = Object.hasOwn(functionBodies, name) ? functionBodies[name] : undefined;
    if (body === undefined) throw new Wrong(`there is no function ${name}()`, at);
    const [first, second, ...more] = nodes.map((node) => this.evaluate(node));
    if (first === undefined || more.length > 0) {
      throw new Wrong(`${name}() is not for ${nodes.length} values`, at);
    }
    if (second === undefined) {
      return (scope) => {
        const a = first(scope);
        return a === undefined ? undefined : body(a);
      };
    }
    return both(first, second, body);
  }

  /** The expression is compiled once, so it must be written out. */
  #matches([text, pattern, ...more]: readonly CelNode[], at: number): Evaluate {
    const known = pattern?.kind === 'literal' && pattern.type === 'string';
    if (text === undefined || !known || more.length > 0) {
      throw new Wrong('the regular expression of matches() must be written out', at);
    }
    const read = this.evaluate(text);
    const regex = this.#regexes.within(pattern.value);
    return (scope) => {
      const value = read(scope);
      return typeof value === 'string' ? regex.matches(value) : undefined;
    };
  }

  #binary({ operator, left, right }: Of<'binary'>): Evaluate {
    // Nearly every filter compares an attribute with a text or a number.
    if ((operator === '==' || operator === '!=') && isPlain(right)) {
      return equals(this.evaluate(left), right.value, operator === '==');
    }
    const body =
      operator in relations
        ? relations[operator as keyof typeof relations]
        : arithmetic[operator as keyof typeof arithmetic];
    return both(this.evaluate(left), this.evaluate(right), body);
  }

  #choice(node: Of<'choice'>): Evaluate {
    const condition = this.evaluate(node.condition);
    const [yes, no] = [this.evaluate(node.yes), this.evaluate(node.no)];
    return (scope) => {
      const chosen = condition(scope);
      if (typeof chosen !== 'boolean') return undefined;
      return chosen ? yes(scope) : no(scope);
    };
  }

  #macro({ macro, of, variable, predicate, transform }: Of<'macro'>): Evaluate {
    const range = this.evaluate(of);
    const depth = this.#variables.push(variable) - 1;
    const parts = {
      predicate: predicate === null ? null : this.evaluate(predicate),
      transform: transform === null ? null : this.evaluate(transform),
    };
    this.#variables.pop();
    return compileMacro(macro, range, depth, parts);
  }
}

function isAnswerHeaders(compiled: Evaluate): boolean {
  const { response } = attributeReaders;
  if (typeof response !== 'object') return false;
  return (
    compiled === response['headers'] ||
    compiled === response['headers_bytes'] ||
    compiled === response['total_size']
  );
}

function constant(value: CelValue): Evaluate {
  return () => value;
}

function literalValue(literal: Of<'literal'>): CelValue {
  if (literal.type === 'uint') return new Uint(literal.value);
  return literal.type === 'double' ? new Double(literal.value) : literal.value;
}

function isPlain(node: CelNode): node is Of<'literal'> & { type: 'int' | 'string'; value: string } {
  return node.kind === 'literal' && (node.type === 'string' || node.type === 'int');
}

function equals(read: Evaluate, wanted: CelValue, positive: boolean): Evaluate {
  return (scope) => {
    const value = read(scope);
    if (value === wanted) return positive;
    return value === undefined ? undefined : equal(value, wanted) === positive;
  };
}

function both(left: Evaluate, right: Evaluate, body: BinaryOperator): Evaluate {
  return (scope) => {
    const a = left(scope);
    if (a === undefined) return undefined;
    const b = right(scope);
    return b === undefined ? undefined : body(a, b);
  };
}

function unary(operator: '!' | '-', of: Evaluate): Evaluate {
  if (operator === '-') return (scope) => negate(of(scope));
  return (scope) => {
    const value = of(scope);
    return typeof value === 'boolean' ? !value : undefined;
  };
}

/** Of several terms one that settles it is enough, wherever an error stands (langdef, "Logical Operators"). */
function logic(settles: boolean, terms: readonly Evaluate[]): Evaluate {
  return (scope) => {
    let result: CelResult = !settles;
    for (const term of terms) {
      const value = term(scope);
      if (value === settles) return settles;
      if (typeof value !== 'boolean') result = undefined;
    }
    return result;
  };
}

function item(container: CelValue, key: CelValue): CelResult {
  if (isMap(container)) return container.get(key);
  const index = numberOf(key);
  if (!isList(container) || index === undefined) return undefined;
  return Number.isInteger(index) ? container[index] : undefined;
}

function list(items: readonly Evaluate[]): Evaluate {
  return (scope) => {
    const made: CelValue[] = [];
    for (const one of items) {
      const value = one(scope);
      if (value === undefined) return undefined;
      made.push(value);
    }
    return made;
  };
}

function map(entries: readonly (readonly [Evaluate, Evaluate])[]): Evaluate {
  return (scope) => {
    const made: [CelValue, CelValue][] = [];
    for (const [key, value] of entries) {
      const [k, v] = [key(scope), value(scope)];
      if (k === undefined || v === undefined) return undefined;
      made.push([k, v]);
    }
    return WrittenMap.of(made) ?? undefined;
  };
}
