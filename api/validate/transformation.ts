// Transformation: edits that cannot be made as they are written.
import { readJsonPath } from '../json-path.ts';
import type {
  GrpcJsonSpec,
  HeaderEditsSpec,
  JsonEditsSpec,
  PathEditSpec,
  QueryEditsSpec,
  TransformationRule,
  TransformationSpec,
} from '../kinds/transformation.ts';
import { type Finding, joinIndex, joinKey } from '../origin.ts';
import type { Resource } from '../resource.ts';
import { type Add, adder } from './adder.ts';
import { extensionFindings, isToken } from './extension.ts';
import { checkRequestMatches } from './request-match.ts';

const code = 'transformation-invalid';
/** The engine's own, on either side (sidecar/wire/names.ts); an edit of them has no effect. */
const framing: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

export function validateTransformation({ spec }: Resource<string, TransformationSpec>): Finding[] {
  const findings = extensionFindings('a Transformation', spec, code);
  const add = adder(findings, 'error', code);
  for (const [i, rule] of spec.rules.entries()) checkRule(rule, joinIndex('spec.rules', i), add);
  return findings;
}

function checkRule(
  { match, request, response, grpcJson }: TransformationRule,
  at: string,
  add: Add,
): void {
  checkRequestMatches(match, at, add);
  const steps = [...Object.values(request ?? {}), ...Object.values(response ?? {})];
  if (grpcJson !== undefined) checkGrpcJson(grpcJson, `${at}.grpcJson`, add);
  if (steps.length === 0 && grpcJson === undefined) {
    add(at, 'a rule without an edit does nothing', 'name one under request or response');
  }
  checkHeaders(request?.headers, `${at}.request.headers`, add);
  checkHeaders(response?.headers, `${at}.response.headers`, add);
  if (request?.path !== undefined) checkPath(request.path, `${at}.request.path`, add);
  if (request?.query !== undefined) checkQuery(request.query, `${at}.request.query`, add);
  if (request?.json !== undefined) checkJson(request.json, `${at}.request.json`, add);
  for (const side of ['request', 'response'] as const) {
    const root = (side === 'request' ? request : response)?.convert?.root ?? 'root';
    if (!/^[A-Za-z_][\w.-]*$/.test(root)) {
      add(`${at}.${side}.convert.root`, `"${root}" is no name of an element`);
    }
  }
  if (response?.json !== undefined) checkJson(response.json, `${at}.response.json`, add);
}

function checkGrpcJson({ descriptorSet, services }: GrpcJsonSpec, at: string, add: Add): void {
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(descriptorSet.replaceAll(/\s/g, ''))) {
    const hint = 'write it as protoc --include_imports -o set.pb and base64 -w0 set.pb have it';
    add(`${at}.descriptorSet`, 'the descriptor set is no base64', hint);
  }
  const seen = new Set<string>();
  for (const [i, service] of services.entries()) {
    const place = joinIndex(`${at}.services`, i);
    if (!/^[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*$/.test(service)) {
      add(place, `"${service}" is no full name of a service`, 'write it as shop.v1.Orders');
    }
    if (seen.has(service)) add(place, `"${service}" is there twice`, 'keep one of them');
    seen.add(service);
  }
}

function checkHeaders(edits: HeaderEditsSpec | undefined, at: string, add: Add): void {
  if (edits === undefined) return;
  const { set = {}, add: added = {}, remove = [] } = edits;
  const named = [
    ...Object.keys(set).map((name) => [name, joinKey(`${at}.set`, name)] as const),
    ...Object.keys(added).map((name) => [name, joinKey(`${at}.add`, name)] as const),
    ...remove.map((name, i) => [name, joinIndex(`${at}.remove`, i)] as const),
  ];
  if (named.length === 0) add(at, 'it edits nothing', 'name a header under set, add or remove');
  for (const [name, path] of named) {
    if (!isToken(name)) add(path, `"${name}" is no header name`);
    if (framing.has(name.toLowerCase())) {
      add(path, `${name} belongs to the connection and cannot be edited`);
    }
  }
  for (const [field, values] of Object.entries({ set, add: added })) {
    for (const [name, value] of Object.entries(values)) {
      if (!/[\0\r\n]/.test(value)) continue;
      add(joinKey(`${at}.${field}`, name), 'a value may not have line breaks');
    }
  }
}

function checkPath(edit: PathEditSpec, at: string, add: Add): void {
  const { replacePrefix, replaceFull, replaceRegex } = edit;
  if (Object.keys(edit).length !== 1) {
    add(at, 'a path has one edit: replacePrefix, replaceFull or replaceRegex', 'keep one of them');
  }
  const made = replaceFull ?? replacePrefix?.with ?? replaceRegex?.substitution ?? '';
  if (/[^\x21-\x7e]|[#?]/.test(made)) {
    add(
      at,
      `"${made}" has what no path may have`,
      'percent-encode it; a query has edits of its own',
    );
  }
  if (replacePrefix !== undefined && !replacePrefix.prefix.startsWith('/')) {
    add(`${at}.replacePrefix.prefix`, 'a prefix begins with a slash', 'write it as /v1');
  }
  if (replaceFull !== undefined && !replaceFull.startsWith('/')) {
    add(`${at}.replaceFull`, 'a path begins with a slash', 'write it as /v1');
  }
}

function checkQuery(
  { set = {}, add: added = {}, remove = [] }: QueryEditsSpec,
  at: string,
  add: Add,
) {
  const all = [...Object.keys(set), ...Object.keys(added), ...remove];
  if (all.length === 0) add(at, 'it edits nothing', 'name a parameter under set, add or remove');
  if (all.includes('')) add(at, 'the name of a parameter may not be empty');
}

function checkJson({ remove = [], rename = [] }: JsonEditsSpec, at: string, add: Add): void {
  const edited = [
    ...remove.map((path, i) => [path, joinIndex(`${at}.remove`, i)] as const),
    ...rename.map(({ from }, i) => [from, joinIndex(`${at}.rename`, i)] as const),
  ];
  if (edited.length === 0) add(at, 'it edits nothing', 'name a field under remove or rename');
  const seen = new Set<string>();
  for (const [path, place] of edited) {
    const steps = readJsonPath(path);
    if (typeof steps === 'string') add(place, steps, 'write it as user.password or items[].id');
    if (seen.has(path)) add(place, `"${path}" is edited twice`, 'keep one of them');
    seen.add(path);
  }
}
