// What else of our own kinds an allowed call meets at the callee's sidecar: keys, transformations, caches, filters.
import type { ApiKeyAuthentication } from '#api/kinds/api-key-authentication.ts';
import type { ExtensionResource } from '#api/kinds/extension.ts';
import type { Filter } from '#api/kinds/filter.ts';
import type { RateLimit } from '#api/kinds/rate-limit.ts';
import type { RequestMatch } from '#api/kinds/request-match.ts';
import type { ResponseCache } from '#api/kinds/response-cache.ts';
import type { Transformation, TransformationRule } from '#api/kinds/transformation.ts';
import type { Outcome } from '#policy/judge.ts';
import { compileRequestMatch } from '#policy/request-match.ts';

import { type Source, sourceAt, sourceText } from './source.ts';

export interface MetExtension extends Source {
  /** `edits the path`. */
  readonly does: string;
}

type Facts = NonNullable<Outcome['facts']>;
type CacheRule = ResponseCache['spec']['rules'][number];
interface Asked extends Facts {
  readonly request: NonNullable<Facts['request']>;
}

type Known = ApiKeyAuthentication | RateLimit | Transformation | ResponseCache | Filter;

/** In the order in which they take part. Empty for what does not come to them: no HTTP, or refused before. */
export function metExtensions(
  all: readonly ExtensionResource[],
  { decision, facts }: Outcome,
): MetExtension[] {
  const request = facts?.request ?? null;
  if (decision !== 'allow' || facts === null || request === null) return [];
  const asked = { ...facts, request };
  return [
    ...ofKind<ApiKeyAuthentication>(all, 'ApiKeyAuthentication').flatMap((one) => keys(one, asked)),
    ...ofKind<Transformation>(all, 'Transformation').flatMap((one) => edits(one, asked)),
    // Of all caches the first rule that matches holds.
    ...ofKind<ResponseCache>(all, 'ResponseCache')
      .flatMap((one) => caches(one, asked))
      .slice(0, 1),
    ...ofKind<Filter>(all, 'Filter').flatMap((one) => filters(one, asked)),
  ];
}

/** `Transformation shop/paths (shop.yaml:12): edits the path`. */
export function renderExtension(met: MetExtension): string {
  return `${sourceText(met)}: ${met.does}`;
}

export function ofKind<K extends Known>(
  all: readonly ExtensionResource[],
  kind: K['kind'],
): (ExtensionResource & K)[] {
  return all.filter((one): one is ExtensionResource & K => one.kind === kind);
}

function keys(one: ApiKeyAuthentication, { connection, request }: Asked): MetExtension[] {
  const { match, optional } = one.spec;
  if (compileRequestMatch(match, { broken: 'throw' })?.(connection, request) === false) return [];
  const does = optional ? 'takes an API key, if there is one' : 'wants an API key';
  return [{ ...sourceAt(one, 'spec'), does }];
}

function edits(one: Transformation, asked: Asked): MetExtension[] {
  return one.spec.rules.flatMap((rule, i) =>
    isFor(rule.match, asked)
      ? [{ ...sourceAt(one, `spec.rules[${i}]`), does: describeEdits(rule) }]
      : [],
  );
}

function describeEdits({ request, response }: TransformationRule): string {
  const sides = Object.entries({ request, response }).flatMap(([side, edited]) => {
    const parts = Object.keys(edited ?? {});
    return parts.length === 0 ? [] : [`${parts.join(', ')} of the ${side}`];
  });
  return `edits ${sides.join(' and ') || 'nothing'}`;
}

function caches(one: ResponseCache, asked: Asked): MetExtension[] {
  return one.spec.rules.flatMap((rule, i) =>
    isFor(rule.match, asked)
      ? [{ ...sourceAt(one, `spec.rules[${i}]`), does: describeCache(rule, asked) }]
      : [],
  );
}

function describeCache({ identity, defaultTtl }: CacheRule, { request }: Asked): string {
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return `keeps no answer to ${request.method}`;
  }
  const apart = identity ? ', for each caller apart' : '';
  return `may answer from its cache${apart}; what says no time stays fresh for ${defaultTtl}`;
}

function filters(one: Filter, asked: Asked): MetExtension[] {
  const { match, responses, onFailure, file } = one.spec;
  if (!isFor(match, asked)) return [];
  const what = file === undefined ? 'its source' : file;
  const both = responses ? 'the request and the answer' : 'the request';
  const passes = onFailure === 'pass' ? ', which pass if it fails' : '';
  return [{ ...sourceAt(one, 'spec'), does: `runs ${what} on ${both}${passes}` }];
}

function isFor(
  match: readonly RequestMatch[] | undefined,
  { connection, request }: Asked,
): boolean {
  return compileRequestMatch(match)?.(connection, request) ?? true;
}
