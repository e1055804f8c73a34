// What can be said of a CEL expression before there is a call: names and functions that there are not, types that never meet.
import { nearest } from '../spelling.ts';
import { regexFault } from '../validate/regex.ts';
import { parseCel } from './parse.ts';
import { isCelFault, type CelNode } from './syntax.ts';
import {
  celAttributes,
  celFunctions,
  celTypeNames,
  type CelAttributes,
  type CelFunction,
  type CelType,
} from './vocabulary.ts';

export interface CelFinding {
  /** `warning`: it is valid, and never comes to anything. */
  readonly severity: 'error' | 'warning';
  readonly message: string;
  /** Character of the text, from 0. */
  readonly at: number;
  readonly mend?: string;
}

/** @param wanted what it must come to; left out: anything */
export function checkCel(text: string, wanted?: 'bool'): CelFinding[] {
  const parsed = parseCel(text);
  if (isCelFault(parsed)) return [{ severity: 'error', message: parsed.fault, at: parsed.at }];
  const checker = new Checker();
  const type = checker.type(parsed);
  if (wanted !== undefined && type !== wanted && type !== 'dyn') {
    const message = `it comes to ${article(type)}, and never to true or false`;
    checker.findings.push({ severity: 'warning', message, at: 0 });
  }
  return checker.findings;
}

/** How a finding is told: with the place in the text, from 1. */
export function celFindingText({ message, at }: CelFinding): string {
  return `character ${at + 1}: ${message}`;
}

/** What a node may be: a value of a type, or part of the way to an attribute. */
type Found = CelType | CelAttributes;

class Checker {
  readonly findings: CelFinding[] = [];
  /** Variables of macros. */
  readonly #variables: string[] = [];

  type(node: CelNode): CelType {
    const found = this.#found(node);
    return typeof found === 'string' ? found : 'map';
  }

  #found(node: CelNode): Found {
    switch (node.kind) {
      case 'literal':
        return node.type;
      case 'name':
        return this.#name(node);
      case 'member':
        return this.#member(node);
      case 'index':
        return this.#index(node);
      case 'call':
        return this.#call(node);
      case 'unary':
        return this.#unary(node);
      case 'binary':
        return this.#binary(node);
      case 'logic':
        for (const term of node.terms) this.#needsBool(term);
        return 'bool';
      case 'choice': {
        this.#needsBool(node.condition);
        const [yes, no] = [this.type(node.yes), this.type(node.no)];
        return yes === no ? yes : 'dyn';
      }
      case 'list':
        for (const item of node.items) this.type(item);
        return 'list';
      case 'map':
        for (const part of node.entries.flat()) this.type(part);
        return 'map';
      default:
        return this.#macro(node);
    }
  }

  #name({ name, at }: CelNode & { kind: 'name' }): Found {
    if (this.#variables.includes(name)) return 'dyn';
    const attribute = (celAttributes as CelAttributes)[name];
    if (attribute !== undefined && Object.hasOwn(celAttributes, name)) return attribute;
    if (Object.hasOwn(celTypeNames, name)) return 'type';
    this.#absent(name, name, Object.keys(celAttributes), '', at);
    return 'dyn';
  }

  #member({ of, name, tests, at }: CelNode & { kind: 'member' }): Found {
    if (tests) {
      // Whether it is there at all is the question.
      this.#found(of);
      return 'bool';
    }
    return this.#inside(this.#found(of), of, name, at);
  }

  #index({ of, index, at }: CelNode & { kind: 'index' }): Found {
    const found = this.#found(of);
    if (index.kind === 'literal' && index.type === 'string') {
      return this.#inside(found, of, index.value, at + 1);
    }
    const type = this.type(index);
    if (found === 'list' && type === 'string') {
      this.#warn('a list is indexed by a number', at);
    }
    return 'dyn';
  }

  #inside(found: Found, of: CelNode, name: string, at: number): Found {
    if (typeof found === 'object') {
      if (Object.hasOwn(found, name)) return found[name] ?? 'dyn';
      const path = pathOf(of);
      this.#absent(name, `${path}.${name}`, Object.keys(found), `${path}.`, at);
      return 'dyn';
    }
    if (found === 'map' && of.kind === 'member') return 'string';
    if (found !== 'map' && found !== 'dyn') this.#warn(`${article(found)} has no members`, at);
    return 'dyn';
  }

  #absent(name: string, whole: string, known: readonly string[], before: string, at: number): void {
    const similar = nearest(name, known);
    this.findings.push({
      severity: 'warning',
      message: `a sidecar has no attribute ${whole}: it is never there`,
      at,
      ...(similar !== null && { mend: `did you mean ${before}${similar}?` }),
    });
  }

  #unary({ operator, of, at }: CelNode & { kind: 'unary' }): CelType {
    if (operator === '!') {
      this.#needsBool(of);
      return 'bool';
    }
    const type = this.type(of);
    if (!['int', 'double', 'dyn'].includes(type)) this.#warn(`${article(type)} has no sign`, at);
    return type;
  }

  #binary({ operator, left, right, at }: CelNode & { kind: 'binary' }): CelType {
    const [a, b] = [this.type(left), this.type(right)];
    if (operator === 'in') {
      if (!['list', 'map', 'dyn'].includes(b)) this.#warn(`nothing is in ${article(b)}`, at);
      return 'bool';
    }
    const relates = ['==', '!=', '<', '<=', '>', '>='].includes(operator);
    const meets =
      a === 'dyn' || b === 'dyn' || a === b || (relates ? comparable(a, b) : timed(operator, a, b));
    if (!meets) {
      const example = a === 'string' || b === 'string' ? ': string() makes a text of it' : '';
      this.#warn(`${article(a)} and ${article(b)} do not meet in ${operator}${example}`, at);
    }
    if (relates) return 'bool';
    if (!meets || a === 'dyn' || b === 'dyn') return 'dyn';
    if (a === b) return a === 'timestamp' ? 'duration' : a;
    return operator === '-' && b === 'timestamp' ? 'duration' : 'timestamp';
  }

  #call({ name, target, args, at }: CelNode & { kind: 'call' }): CelType {
    const given = (target === null ? args : [target, ...args]).map((arg) => this.type(arg));
    const named = Object.hasOwn(celFunctions, name) ? (celFunctions[name] ?? []) : [];
    const found = named.find((one) => isCalled(one, target !== null, given.length));
    if (found === undefined) {
      this.findings.push(unknownFunction(name, named, at));
      return 'dyn';
    }
    if (name === 'matches') this.#regex(args.at(-1), at);
    given.forEach((type, i) => {
      const taken = found.args[i] ?? ['dyn'];
      if (type === 'dyn' || taken.includes('dyn') || taken.includes(type)) return;
      this.#warn(`${name}() is not for ${article(type)}`, at);
    });
    return found.result;
  }

  /** Compiled once, so it must be written out. */
  #regex(pattern: CelNode | undefined, at: number): void {
    const known = pattern?.kind === 'literal' && pattern.type === 'string';
    const message = known
      ? regexFault(pattern.value)
      : 'the regular expression of matches() must be written out';
    if (message !== null) this.findings.push({ severity: 'error', message, at });
  }

  #macro({ macro, of, variable, predicate, transform, at }: CelNode & { kind: 'macro' }): CelType {
    const type = this.type(of);
    if (!['list', 'map', 'dyn'].includes(type)) {
      this.#warn(`${macro}() is not for ${article(type)}`, at);
    }
    this.#variables.push(variable);
    if (predicate !== null) this.#needsBool(predicate);
    if (transform !== null) this.type(transform);
    this.#variables.pop();
    return macro === 'map' || macro === 'filter' ? 'list' : 'bool';
  }

  #needsBool(node: CelNode): void {
    const type = this.type(node);
    if (type !== 'bool' && type !== 'dyn') {
      this.#warn(`${article(type)} is neither true nor false`, node.at);
    }
  }

  #warn(message: string, at: number): void {
    this.findings.push({ severity: 'warning', message, at });
  }
}

function isCalled({ method, args }: CelFunction, asMethod: boolean, given: number): boolean {
  return method === asMethod && args.length === given;
}

function unknownFunction(name: string, named: readonly CelFunction[], at: number): CelFinding {
  if (named.length > 0) {
    const [first] = named;
    const count = (first?.args.length ?? 0) - (first?.method === true ? 1 : 0);
    const form = first?.method === true ? `x.${name}` : name;
    const message = `${name}() is called as ${form}(${'…, '.repeat(count).slice(0, -2)})`;
    return { severity: 'error', message, at };
  }
  const similar = nearest(name, Object.keys(celFunctions));
  return {
    severity: 'error',
    message: `there is no function ${name}()`,
    at,
    ...(similar !== null && { mend: `did you mean ${similar}()?` }),
  };
}

const numeric: ReadonlySet<CelType> = new Set(['int', 'uint', 'double'] as const);

function comparable(a: CelType, b: CelType): boolean {
  return numeric.has(a) && numeric.has(b);
}

/** Times and durations are added to each other. */
function timed(operator: string, a: CelType, b: CelType): boolean {
  if (operator === '+')
    return (a === 'timestamp' || b === 'timestamp') && (a === 'duration' || b === 'duration');
  return operator === '-' && a === 'timestamp' && b === 'duration';
}

function article(type: CelType): string {
  const spelled: Partial<Record<CelType, string>> = {
    bool: 'true or false',
    string: 'a text',
    null: 'null',
    bytes: 'bytes',
    type: 'a type',
    dyn: 'a value',
    int: 'a whole number (int)',
    uint: 'a whole number (uint)',
    double: 'a number (double)',
  };
  return spelled[type] ?? `a ${type}`;
}

function pathOf(node: CelNode): string {
  if (node.kind === 'name') return node.name;
  if (node.kind === 'member') return `${pathOf(node.of)}.${node.name}`;
  if (node.kind === 'index' && node.index.kind === 'literal') {
    return `${pathOf(node.of)}.${String(node.index.value)}`;
  }
  return '…';
}
