// The Common Expression Language as a tree: what a filter or a label of Istio's Telemetry is written in (cel-spec's langdef).

export type CelLiteral =
  | { readonly type: 'int' | 'uint' | 'double'; readonly value: number }
  | { readonly type: 'string'; readonly value: string }
  | { readonly type: 'bytes'; readonly value: Uint8Array }
  | { readonly type: 'bool'; readonly value: boolean }
  | { readonly type: 'null'; readonly value: null };

export type CelArithmetic = '+' | '-' | '*' | '/' | '%';
export type CelRelation = '==' | '!=' | '<' | '<=' | '>' | '>=' | 'in';

export const celMacros = ['all', 'exists', 'exists_one', 'map', 'filter'] as const;
export type CelMacro = (typeof celMacros)[number];

/** `at`: the character of the text, from 0, that a finding about the node names. */
export type CelNode =
  | (CelLiteral & { readonly kind: 'literal'; readonly at: number })
  | { readonly kind: 'name'; readonly at: number; readonly name: string }
  | {
      readonly kind: 'member';
      readonly at: number;
      readonly of: CelNode;
      readonly name: string;
      /** `has(a.b)`: whether it is there, and not what it is. */
      readonly tests: boolean;
    }
  | { readonly kind: 'index'; readonly at: number; readonly of: CelNode; readonly index: CelNode }
  | {
      readonly kind: 'call';
      readonly at: number;
      readonly name: string;
      /** What a method is called on; null: a function. */
      readonly target: CelNode | null;
      readonly args: readonly CelNode[];
    }
  | {
      readonly kind: 'unary';
      readonly at: number;
      readonly operator: '!' | '-';
      readonly of: CelNode;
    }
  | {
      readonly kind: 'binary';
      readonly at: number;
      readonly operator: CelArithmetic | CelRelation;
      readonly left: CelNode;
      readonly right: CelNode;
    }
  | {
      readonly kind: 'logic';
      readonly at: number;
      readonly operator: '&&' | '||';
      /** Two or more. */
      readonly terms: readonly CelNode[];
    }
  | {
      readonly kind: 'choice';
      readonly at: number;
      readonly condition: CelNode;
      readonly yes: CelNode;
      readonly no: CelNode;
    }
  | { readonly kind: 'list'; readonly at: number; readonly items: readonly CelNode[] }
  | {
      readonly kind: 'map';
      readonly at: number;
      readonly entries: readonly (readonly [key: CelNode, value: CelNode])[];
    }
  | {
      readonly kind: 'macro';
      readonly at: number;
      readonly macro: CelMacro;
      readonly of: CelNode;
      readonly variable: string;
      /** Of `map` with three arguments and of all others; null: every item counts. */
      readonly predicate: CelNode | null;
      /** Of `map` only. */
      readonly transform: CelNode | null;
    };

/** What is wrong, and at which character, from 0. */
export interface CelFault {
  readonly fault: string;
  readonly at: number;
}

export function isCelFault(parsed: CelNode | CelFault): parsed is CelFault {
  return 'fault' in parsed;
}

/** Thrown and caught within the parser. */
export class Wrong extends Error {
  readonly at: number;

  constructor(message: string, at: number) {
    super(message);
    this.at = at;
  }
}
