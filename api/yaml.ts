// Reads YAML as Kubernetes does (YAML 1.1 scalars), with the line and column of every node and
// bounds on what it may cost.
import {
  type Document,
  LineCounter,
  type Tags,
  type YAMLParseError,
  parseAllDocuments,
} from 'yaml';

import { placeOf, rememberColumns } from './origin.ts';
import type { Problem } from './problem.ts';
import type { Origin } from './resource.ts';
import { adviceOn } from './yaml-errors.ts';
import { flatten, Refusal } from './yaml-flatten.ts';

/** One document of a stream. */
export interface YamlDocument {
  /** Plain JSON values: objects, arrays, strings, numbers, booleans, null. */
  readonly value: unknown;
  readonly origin: Origin;
  /** Where a node is written; of a path that is not there, its nearest ancestor's place. */
  at(path: string): Position;
  /** The scalar as written, where it is not a string: `yes`, `0x10`, `1.0`. */
  sourceOf(path: string): string | undefined;
  /** The first line of a block scalar's text (`|`, `>`) and how far it is indented. */
  blockAt(path: string): Position | undefined;
}

export interface Position {
  /** From 1. */
  readonly line: number;
  /** From 1. */
  readonly column: number;
}

export interface YamlLimits {
  /** Characters of one text; more is refused unread. */
  readonly textLengthMax: number;
  /** Nodes of one document after its aliases are written out. */
  readonly nodesMax: number;
  /** Levels of nesting. */
  readonly depthMax: number;
}

/** An object in etcd may have 1.5 MiB; a file may hold a few of them. */
export const yamlLimits: YamlLimits = {
  textLengthMax: 16 * 1024 * 1024,
  nodesMax: 500_000,
  depthMax: 100,
};

// YAML 1.1 as Go's parser reads it for Kubernetes: `yes` and `on` are booleans, `0777` is octal,
// dates and
// `12:30` are strings. Keys are compared in yaml-flatten.ts: the parser's own comparison is
// quadratic.
const leftOut = new Set(['timestamp', 'omap', 'pairs', 'set', 'binary']);
export const yamlOptions = {
  version: '1.1',
  uniqueKeys: false,
  prettyErrors: false,
  logLevel: 'silent',
  customTags: (tags: Tags): Tags =>
    tags.filter((tag) => {
      if (typeof tag === 'string') return true;
      const time = 'format' in tag && tag.format === 'TIME';
      return !time && !leftOut.has(tag.tag.replace('tag:yaml.org,2002:', ''));
    }),
} as const;

/**
 * Reads a text of one or more documents. Never throws: what is wrong is in `problems`, and a
 * document with
 * an error is left out. Empty documents are left out without a word.
 */
export function readYaml(
  text: string,
  file: string,
  limits: YamlLimits = yamlLimits,
): { documents: YamlDocument[]; problems: Problem[] } {
  if (text.length > limits.textLengthMax) {
    const message = `${text.length} characters are over the limit of ${limits.textLengthMax}`;
    return refused({ file, code: 'yaml-too-large', message, mend: 'split the file' });
  }
  try {
    return readDocuments(text, file, limits);
  } catch (error) {
    // The parser is recursive: brackets nested some thousands deep end its stack.
    const why = error instanceof RangeError ? 'it is nested too deeply' : String(error);
    const message = `the YAML cannot be read: ${why}`;
    return refused({ file, code: 'yaml-syntax', message, mend: 'flatten the nested lists' });
  }
}

function refused(problem: Omit<Problem, 'severity'>): {
  documents: YamlDocument[];
  problems: Problem[];
} {
  return { documents: [], problems: [{ severity: 'error', ...problem }] };
}

function readDocuments(
  text: string,
  file: string,
  limits: YamlLimits,
): { documents: YamlDocument[]; problems: Problem[] } {
  const counter = new LineCounter();
  const documents: YamlDocument[] = [];
  const problems: Problem[] = [];
  const parsed = parseAllDocuments(text, { ...yamlOptions, lineCounter: counter });
  // An empty stream comes as an empty array with more properties; its errors are those of no
  // document.
  for (const document of parsed) {
    if (document.errors.length > 0) {
      // A broken line makes each later one an error too: the first says it all.
      const [first] = document.errors;
      if (first !== undefined) problems.push(syntaxProblem(first, counter, text, file));
      continue;
    }
    if (document.contents === null) continue;
    const read = readDocument(document, text, counter, file, limits);
    if ('documents' in read) documents.push(...read.documents);
    else problems.push(read);
  }
  return { documents, problems };
}

function readDocument(
  document: Document.Parsed,
  text: string,
  counter: LineCounter,
  file: string,
  limits: YamlLimits,
): { documents: YamlDocument[] } | Problem {
  const flat = flatten(document, limits);
  if (flat instanceof Refusal) {
    const { line, column } = positionOf(counter, flat.offset);
    const { code, message, mend } = flat;
    return { severity: 'error', code, message, mend, file, line, column };
  }
  if (flat.value === null) return { documents: [] };
  const lines: Record<string, number> = Object.create(null);
  const columns: Record<string, number> = Object.create(null);
  for (const [path, offset] of flat.offsets) {
    const position = positionOf(counter, offset);
    lines[path] = position.line;
    columns[path] = position.column;
  }
  const first = positionOf(counter, document.contents?.range?.[0] ?? 0);
  const origin: Origin = { file, line: first.line, lines };
  rememberColumns(origin, columns);
  const at = (path: string): Position => {
    const { line = first.line, column = 1 } = placeOf(origin, path);
    return { line, column };
  };
  const sourceOf = (path: string): string | undefined => flat.sources.get(path);
  const blockAt = (path: string): Position | undefined => {
    const offset = flat.blocks.get(path);
    return offset === undefined ? undefined : blockStart(text, counter, offset);
  };
  return { documents: [{ value: flat.value, origin, at, sourceOf, blockAt }] };
}

function positionOf(counter: LineCounter, offset: number): Position {
  const { line, col } = counter.linePos(offset);
  return { line: Math.max(line, 1), column: Math.max(col, 1) };
}

function syntaxProblem(
  error: YAMLParseError,
  counter: LineCounter,
  text: string,
  file: string,
): Problem {
  const { line, column } = positionOf(counter, error.pos[0]);
  const advice = adviceOn(error, text.slice(error.pos[0], error.pos[1]));
  return { severity: 'error', code: 'yaml-syntax', ...advice, file, line, column };
}

function blockStart(text: string, counter: LineCounter, offset: number): Position {
  const end = text.indexOf('\n', offset);
  const { line } = positionOf(counter, offset);
  const indent = /^ */.exec(text.slice(end + 1))?.[0].length ?? 0;
  return { line: line + 1, column: indent + 1 };
}
