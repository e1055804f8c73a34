// One field of a rule, made ready: its test, what it wants for explanations, and the keys it can be found by.
import type { ConnectionFacts, RequestFacts } from '../facts.ts';
import type { IpBlock } from '../match/ip.ts';
import type { TextPattern } from '../match/text.ts';

/** Whether the facts meet a condition. Conditions of HTTP fields are never given `null`. */
export type Test = (connection: ConnectionFacts, request: RequestFacts | null) => boolean;

/** A text, block or port that every call which meets a condition has: what an index files a rule under. */
export type Key =
  | {
      readonly kind: 'text';
      readonly space: TextSpace;
      readonly form: 'exact' | 'prefix' | 'suffix';
      readonly text: string;
    }
  | { readonly kind: 'ip'; readonly space: IpSpace; readonly block: IpBlock }
  | { readonly kind: 'port'; readonly port: number };

export type IpSpace = 'source.ip' | 'remote.ip' | 'destination.ip';

/**
 * `service-account` texts are `namespace/sa/account`. The values of each header (by lower-case name) and of each
 * claim (by its path, `[a][b]`) are a space of their own.
 */
export type TextSpace =
  | 'identity'
  | 'namespace'
  | 'service-account'
  | 'trust-domain'
  | 'method'
  | 'host'
  | 'path'
  | 'sni'
  | 'iss'
  | 'sub'
  | `header:${string}`
  | `claim:${string}`;

/** What becomes of the values of one field. */
export interface Matcher {
  /** Whether any value matches; null when no value could be built. */
  readonly any: Test | null;
  /** Values that could not be built: a bad address, port, template or key. */
  readonly broken: readonly string[];
  /** A key for each value; null when some value has none, so that the field cannot be indexed. */
  readonly keys: readonly Key[] | null;
}

/** What a field looks at. */
export interface Attribute {
  /** Only HTTP has it. */
  readonly http: boolean;
  build(values: readonly string[]): Matcher;
  /** What the call had, for people; '' for nothing. */
  got(connection: ConnectionFacts, request: RequestFacts | null): string;
}

export interface Condition {
  /** `from.source.principals`, `when[source.ip]`. */
  readonly field: string;
  /** Its node in the policy: `spec.rules[0].from[0].source.principals`. */
  readonly path: string;
  readonly wanted: readonly string[];
  readonly attribute: Attribute;
  /** null: nothing could be built. */
  readonly holds: Test | null;
  readonly broken: readonly string[];
  readonly keys: readonly Key[] | null;
}

/** What the two conditions of a field are called, and where they are written. */
export interface FieldNames {
  readonly field: string;
  readonly path: string;
  readonly notField: string;
  readonly notPath: string;
}

/** The conditions that a field makes: one for its values, one for those that must not match. */
export function makeConditions(
  attribute: Attribute,
  names: FieldNames,
  values: readonly string[] | undefined,
  notValues: readonly string[] | undefined,
): Condition[] {
  const made: Condition[] = [];
  if (values !== undefined && values.length > 0) {
    const { any: holds, broken, keys } = attribute.build(values);
    const { field, path } = names;
    made.push({ field, path, wanted: values, attribute, holds, broken, keys });
  }
  if (notValues !== undefined && notValues.length > 0) {
    const { any, broken } = attribute.build(notValues);
    const holds: Test | null = any === null ? null : (c, r) => !any(c, r);
    const wanted = notValues.map((value) => `not ${value}`);
    const { notField: field, notPath: path } = names;
    made.push({ field, path, wanted, attribute, holds, broken, keys: null });
  }
  return made;
}

/** A key for each value; null when one has none. */
export function allKeys<Value>(
  values: readonly Value[],
  keyOf: (value: Value) => Key | null,
): readonly Key[] | null {
  const keys: Key[] = [];
  for (const value of values) {
    const key = keyOf(value);
    if (key === null) return null;
    keys.push(key);
  }
  return keys;
}

/** The keys of patterns; none when one of them is met by any text. */
export function textKeys(
  space: TextSpace,
  patterns: readonly TextPattern[],
): readonly Key[] | null {
  return allKeys(patterns, ({ form, text }) =>
    form === 'any' || text === '' ? null : { kind: 'text', space, form, text },
  );
}
