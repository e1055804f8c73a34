// Holds a JSON value against a zod shape: what Kubernetes would refuse, what it would silently
// drop, in words.
import { z } from 'zod';

import { type Finding, joinIndex, joinKey } from './origin.ts';
import { nearest } from './spelling.ts';

/** A YAML scalar as written, where it is not a string. */
export type SourceOf = (path: string) => string | undefined;

/** Null fields count as absent, as in Kubernetes; null items of lists stay, and are refused. */
export function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (typeof value !== 'object' || value === null) return value;
  const kept = Object.entries(value).filter(([, field]) => field !== null);
  return Object.fromEntries(kept.map(([key, field]) => [key, withoutNulls(field)]));
}

/** Paths of fields that were written without a value. */
export function emptyFields(value: unknown, path: string): string[] {
  if (Array.isArray(value))
    return value.flatMap((item, i) => emptyFields(item, joinIndex(path, i)));
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, field]) => {
    const at = joinKey(path, key);
    return field === null ? [at] : emptyFields(field, at);
  });
}

/** The issues of a failed parse, each with its place, what was found there and what to write. */
export function shapeFindings(
  issues: readonly z.core.$ZodIssue[],
  value: unknown,
  path: string,
  sourceOf: SourceOf,
): Finding[] {
  return issues.slice(0, issuesMax).flatMap((issue) => {
    // Of a union's alternatives none fits: the first says what is usual.
    if (issue.code === 'invalid_union' && issue.errors[0] !== undefined) {
      const inner = issue.errors[0].map((one) => ({ ...one, path: [...issue.path, ...one.path] }));
      return shapeFindings(inner, value, path, sourceOf);
    }
    return [shapeFinding(issue, value, path, sourceOf)];
  });
}

/** A text of random values breaks every field: nobody reads further. */
const issuesMax = 20;

function shapeFinding(
  issue: z.core.$ZodIssue,
  value: unknown,
  path: string,
  sourceOf: SourceOf,
): Finding {
  let at = path;
  let found = value;
  for (const key of issue.path) {
    at = typeof key === 'number' ? joinIndex(at, key) : joinKey(at, String(key));
    found = childOf(found, key);
  }
  const name = at === '' ? 'the document' : at;
  const base = { severity: 'error', code: 'shape', path: at } as const;
  const written = sourceOf(at) ?? JSON.stringify(found);
  if (found === undefined) {
    return { ...base, code: 'field-missing', message: `${name} is missing`, mend: 'add it' };
  }
  switch (issue.code) {
    case 'invalid_type': {
      const wanted = wantedNames[issue.expected] ?? issue.expected;
      const message = `${name} must be ${wanted}, and ${short(written)} is ${nameOfType(found)}`;
      return { ...base, message, mend: mendOfType(issue.expected, found, written) };
    }
    case 'invalid_value': {
      const values = issue.values.map(String);
      const similar = typeof found === 'string' ? nearest(found, values) : null;
      const mend = similar === null ? undefined : `did you mean ${similar}?`;
      const message = `${name} must be one of ${values.join(', ')}, and is ${short(written)}`;
      return { ...base, message, mend };
    }
    default:
      return { ...base, message: `${name}: ${issue.message} (found ${short(written)})` };
  }
}

const wantedNames: Readonly<Record<string, string>> = {
  string: 'a string',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a mapping',
  record: 'a mapping',
};

function nameOfType(value: unknown): string {
  if (value === null) return 'empty';
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' ? 'a mapping' : `a ${typeof value}`;
}

function mendOfType(expected: string, found: unknown, written: string): string | undefined {
  if (expected === 'string' && typeof found === 'boolean' && !/^(true|false)$/i.test(written)) {
    return `YAML 1.1 reads a bare ${written} as ${String(found)}: put it in quotes: "${written}"`;
  }
  if (expected === 'string' && (typeof found === 'number' || typeof found === 'boolean')) {
    return `put it in quotes: "${written}"`;
  }
  if (expected === 'array' && typeof found === 'string') return `write a list: [${written}]`;
  if (expected === 'array') return 'begin each item with "- "';
  if (found === null) return 'remove it, or give it a value';
  return undefined;
}

/** Fields of the value that the shape does not have: Kubernetes drops them without a word. */
export function unknownFields(shape: z.ZodType, value: unknown, path: string): Finding[] {
  const inner = unwrap(shape);
  if (inner instanceof z.ZodArray && Array.isArray(value)) {
    const element = inner.element as z.ZodType;
    return value.flatMap((item, i) => unknownFields(element, item, joinIndex(path, i)));
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [];
  if (inner instanceof z.ZodRecord) {
    const valueType = inner.valueType as z.ZodType;
    return Object.entries(value).flatMap(([key, field]) =>
      unknownFields(valueType, field, joinKey(path, key)),
    );
  }
  if (!(inner instanceof z.ZodObject) || inner.def.catchall !== undefined) return [];
  const known: Readonly<Record<string, z.ZodType>> = inner.shape;
  return Object.entries(value).flatMap(([key, field]) => {
    const at = joinKey(path, key);
    const type = Object.hasOwn(known, key) ? known[key] : undefined;
    return type === undefined
      ? [unknownFinding(key, Object.keys(known), at)]
      : unknownFields(type, field, at);
  });
}

/** What is written under `key` is lost; a word close to it may have been meant. */
function unknownFinding(key: string, known: readonly string[], path: string): Finding {
  const similar = nearest(key.replaceAll('_', ''), known);
  const mend =
    similar === null ? `the fields here are ${known.join(', ')}` : `did you mean ${similar}?`;
  const message = `there is no field "${short(key)}" here: it is dropped without a word`;
  return { severity: 'warning', code: 'field-unknown', path, message, mend };
}

function unwrap(shape: z.ZodType): z.ZodType {
  let inner = shape;
  while (
    inner instanceof z.ZodOptional ||
    inner instanceof z.ZodDefault ||
    inner instanceof z.ZodPrefault
  ) {
    inner = inner.unwrap() as z.ZodType;
  }
  return inner;
}

function childOf(value: unknown, key: PropertyKey): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
  return (value as Record<PropertyKey, unknown>)[key];
}

function short(text: string): string {
  return text.length <= 80 ? text : `${text.slice(0, 79)}…`;
}
