// Transformations of a snapshot, compiled once: each rule with its test and its edits.
import type { ExtensionResource } from '#api/kinds/extension.ts';
import type {
  ConvertSpec,
  JsonEditsSpec,
  PathEditSpec,
  TransformationRule,
} from '#api/kinds/transformation.ts';

import { compileRequestMatch, type RequestTest } from '#policy/request-match.ts';
import { compileEdits, type CompiledEdits } from '../routing/header-edits.ts';
import { compilePathEdit, type PathEdit } from '../routing/path-edit.ts';
import { pathEnd } from '#policy/conditions/request.ts';
import type { RegexFactory } from '../routing/regex.ts';
import { compileText } from '../routing/text-matcher.ts';
import { jsonToXml, xmlToJson } from './convert.ts';
import type { Transcoder } from './grpc-json.ts';
import { compileJsonEdits, editJson } from './json-edit.ts';
import { transcoding } from './load-transcoding.ts';
import type { BodyType } from './readable.ts';
import { isTransformation } from './needs-regexes.ts';
import { compileQueryEdit, type QueryEdit } from './query-edit.ts';

export interface Transforms {
  readonly rules: readonly TransformRule[];
  /** Edits that are left out, each with the reason. */
  readonly problems: readonly string[];
}

export interface TransformRule {
  /** Null: every request. */
  readonly matches: RequestTest | null;
  readonly headers: CompiledEdits | null;
  readonly path: PathEdit | null;
  readonly query: QueryEdit | null;
  /** In order; each for bodies of its type. */
  readonly requestBody: readonly BodyEdit[];
  readonly responseBody: readonly BodyEdit[];
  /** Null: nothing is transcoded. */
  readonly grpcJson: Transcoder | null;
}

export interface BodyEdit {
  readonly takes: BodyType;
  readonly gives: BodyType;
  /** Null: the body is not of its type. */
  edit(body: Buffer): Buffer | null;
  /** What cannot be edited does not pass. */
  readonly refuses: boolean;
  readonly bytesMax: number;
}

/** Null: nothing is transformed. */
export function compileTransforms(
  extensions: readonly ExtensionResource[] | undefined,
  regexes: RegexFactory,
): Transforms | null {
  const resources = (extensions ?? []).filter(isTransformation);
  if (resources.length === 0) return null;
  const problems: string[] = [];
  const rules = resources.flatMap(({ metadata, spec }) =>
    spec.rules.map((rule, i) => {
      const onProblem = (why: string): void => {
        problems.push(`Transformation ${metadata.namespace}/${metadata.name} rules[${i}]: ${why}`);
      };
      return compileRule(rule, spec.maxBodyBytes, regexes, onProblem);
    }),
  );
  return { rules, problems };
}

function compileRule(
  { match, grpcJson, request = {}, response = {} }: TransformationRule,
  bytesMax: number,
  regexes: RegexFactory,
  onProblem: (why: string) => void,
): TransformRule {
  const { headers: ofRequest, path, query } = request;
  const { headers: ofResponse } = response;
  const edits = {
    ...(ofRequest !== undefined && { request: ofRequest }),
    ...(ofResponse !== undefined && { response: ofResponse }),
  };
  return {
    matches: compileRequestMatch(match),
    headers: compileEdits([edits]),
    path: path === undefined ? null : attempt(() => pathEditOf(path, regexes), onProblem),
    query: query === undefined ? null : compileQueryEdit(query),
    requestBody: bodyEditsOf(request, bytesMax, onProblem),
    responseBody: bodyEditsOf(response, bytesMax, onProblem),
    grpcJson:
      grpcJson === undefined
        ? null
        : attempt(() => transcoding()(grpcJson, bytesMax, onProblem), onProblem),
  };
}

function pathEditOf(edit: PathEditSpec, regexes: RegexFactory): PathEdit | null {
  const { replacePrefix, replaceFull, replaceRegex } = edit;
  if (replaceFull !== undefined) {
    return compilePathEdit({ kind: 'full', value: replaceFull }, null, regexes);
  }
  if (replaceRegex !== undefined) {
    const { match, substitution } = replaceRegex;
    return compilePathEdit({ kind: 'regex', match, value: substitution }, null, regexes);
  }
  if (replacePrefix === undefined) return null;
  const path = { kind: 'segments', value: replacePrefix.prefix } as const;
  const met = compileText(path, regexes);
  const rewrite = { kind: 'segments', value: replacePrefix.with } as const;
  const replace = compilePathEdit(rewrite, { path }, regexes);
  return (whole) => (met.matches(whole, pathEnd(whole)) ? replace(whole) : whole);
}

function bodyEditsOf(
  { json, convert }: { readonly json?: JsonEditsSpec; readonly convert?: ConvertSpec },
  bytesMax: number,
  onProblem: (why: string) => void,
): BodyEdit[] {
  const edits: BodyEdit[] = [];
  const node = json === undefined ? null : attempt(() => compileJsonEdits(json), onProblem);
  if (node !== null) {
    const refuses = json?.whenUnreadable === 'refuse';
    const edit = (body: Buffer): Buffer | null => editJson(body, node);
    edits.push({ takes: 'json', gives: 'json', edit, refuses, bytesMax });
  }
  if (convert === undefined) return edits;
  const { to, root } = convert;
  const more = { refuses: convert.whenUnreadable === 'refuse', bytesMax };
  if (to === 'json') return [{ takes: 'xml', gives: 'json', edit: xmlToJson, ...more }, ...edits];
  return [...edits, { takes: 'json', gives: 'xml', edit: (b) => jsonToXml(b, root), ...more }];
}

/** What cannot be compiled is left out, and the rest of the rule holds. */
function attempt<T>(compile: () => T, onProblem: (why: string) => void): T | null {
  try {
    return compile();
  } catch (error) {
    onProblem(error instanceof Error ? error.message : String(error));
    return null;
  }
}
