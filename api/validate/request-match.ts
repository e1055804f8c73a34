// Matches of requests in our own kinds: what would mean everything, and what cannot be met.
import type { RequestMatch } from '../kinds/request-match.ts';
import { joinIndex, joinKey } from '../origin.ts';
import type { Add } from './adder.ts';
import { isToken } from './extension.ts';
import { hasTemplate, templateFault } from './values.ts';

/** @param at the path of the rule */
export function checkRequestMatches(
  matches: readonly RequestMatch[] | undefined,
  at: string,
  add: Add,
): void {
  if (matches?.length === 0) {
    add(`${at}.match`, 'an empty match reads as nothing and would mean everything', 'remove it');
  }
  for (const [i, match] of (matches ?? []).entries()) {
    checkMatch(match, joinIndex(`${at}.match`, i), add);
  }
}

/** A path of a match of limits or keys. */
export function checkPath(value: string, path: string, add: Add): void {
  const fault = /[{}]/.test(value) ? templateFault(value) : null;
  if (fault !== null) add(path, fault);
  else if (hasTemplate(value) && !value.startsWith('/')) add(path, 'a template begins with /');
}

function checkMatch(match: RequestMatch, at: string, add: Add): void {
  const { headers = {}, ...lists } = match;
  const entries = [
    ...Object.entries(lists).map(([name, list]) => [`${at}.${name}`, list] as const),
    ...Object.entries(headers).map(
      ([name, list]) => [joinKey(`${at}.headers`, name), list] as const,
    ),
  ];
  if (entries.length === 0) {
    add(at, 'an empty match reads as nothing and would mean everything', 'name a field');
  }
  for (const [path, list] of entries) {
    if (list.length === 0) add(path, 'it has no value, and would mean nothing', 'name one');
    if (list.includes('')) add(path, 'a value is empty', 'write "*" for presence');
  }
  for (const field of ['paths', 'notPaths'] as const) {
    for (const [i, value] of (match[field] ?? []).entries()) {
      checkPath(value, joinIndex(`${at}.${field}`, i), add);
    }
  }
  for (const name of Object.keys(headers)) {
    if (!isToken(name)) add(joinKey(`${at}.headers`, name), `"${name}" is no header name`);
  }
}
