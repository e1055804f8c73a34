// The http rules of a VirtualService: what Istio's validating webhook refuses beyond the shape.
import type {
  HttpRule,
  HttpRuleMatch,
  MessageEditsSpec,
  StringMatch,
} from '../kinds/virtual-service-http.ts';
import { joinIndex, joinKey } from '../origin.ts';
import type { Add } from './adder.ts';
import { regexFault } from './regex.ts';
import {
  durationFault,
  editedHeaderFault,
  headerValueFault,
  isAuthorityHeader,
  isClaim,
  matchedHeaderFault,
} from './route-values.ts';
import {
  checkCors,
  checkFault,
  checkRedirect,
  checkResponse,
  checkRetries,
} from './virtual-service-action.ts';
import { checkDestination, checkPort, checkSource, checkWeights } from './virtual-service-parts.ts';

export interface HttpRuleContext {
  /** It stands in a VirtualService without hosts. */
  readonly delegate: boolean;
  readonly inMesh: boolean;
}

export function checkHttpRule(
  rule: HttpRule,
  at: string,
  context: HttpRuleContext,
  add: Add,
): void {
  checkExclusive(rule, at, context, add);
  for (const [i, match] of (rule.match ?? []).entries()) {
    checkMatch(match, joinIndex(`${at}.match`, i), context, add);
  }
  checkEdits(rule.headers, `${at}.headers`, add);
  checkAuthority(rule, at, add);
  checkCors(rule.corsPolicy, `${at}.corsPolicy`, add);
  checkFault(rule.fault, `${at}.fault`, add);
  checkMirrors(rule, at, add);
  checkRedirect(rule, `${at}.redirect`, add);
  checkResponse(rule.directResponse, `${at}.directResponse`, add);
  checkRetries(rule.retries, `${at}.retries`, add);
  checkRewrite(rule.rewrite, `${at}.rewrite`, add);
  for (const [i, { destination, headers }] of (rule.route ?? []).entries()) {
    const path = joinIndex(`${at}.route`, i);
    checkDestination(destination, `${path}.destination`, add);
    checkEdits(headers, `${path}.headers`, add);
  }
  checkWeights(rule.route ?? [], `${at}.route`, add);
  const fault = rule.timeout === undefined ? null : durationFault(rule.timeout);
  if (fault !== null) add(`${at}.timeout`, fault, 'write it as 5s or 500ms; leave it out for none');
}

/** What a rule does, and what cannot stand beside it. */
function checkExclusive(rule: HttpRule, at: string, { delegate }: HttpRuleContext, add: Add): void {
  const { route = [], redirect, directResponse, fault, rewrite, mirror, mirrors = [] } = rule;
  if (rule.delegate !== undefined) {
    const mend = 'move it to the delegate';
    if (delegate) add(`${at}.delegate`, 'a delegate has no delegate of its own');
    else {
      if (redirect !== undefined) add(`${at}.redirect`, 'delegate stands beside redirect', mend);
      if (rule.route !== undefined) add(`${at}.route`, 'delegate stands beside route', mend);
      return;
    }
  }
  const action = redirect !== undefined ? 'redirect' : directResponse && 'directResponse';
  if (action !== undefined) {
    const beside = {
      route: route.length > 0,
      fault: fault !== undefined,
      rewrite: rewrite !== undefined,
    };
    for (const [field, present] of Object.entries(beside)) {
      if (present) add(`${at}.${field}`, `${field} stands beside ${action}`, 'remove one of them');
    }
    if (redirect !== undefined && directResponse !== undefined) {
      add(`${at}.directResponse`, 'directResponse stands beside redirect', 'remove one of them');
    }
  } else if (route.length === 0) {
    add(at, 'the rule does nothing', 'add route, redirect or directResponse');
  }
  if (mirror !== undefined && mirrors.length > 0) {
    add(`${at}.mirrors`, 'mirrors stands beside mirror', 'move mirror into mirrors');
  }
}

function checkMatch(match: HttpRuleMatch, at: string, { inMesh }: HttpRuleContext, add: Add): void {
  for (const field of ['headers', 'withoutHeaders'] as const) {
    for (const [name, value] of Object.entries(match[field] ?? {})) {
      const path = joinKey(`${at}.${field}`, name);
      const fault = matchedHeaderFault(name);
      if (fault !== null) add(path, fault);
      if (inMesh && isClaim(name)) {
        add(path, `claims as "${name}" are only for gateways`, 'match a header that has the claim');
      }
      // Istio reads a lone * as "is there".
      if (field === 'headers' || value.regex !== '*') checkText(value, path, false, add);
    }
  }
  for (const field of ['scheme', 'method', 'authority'] as const) {
    const value = match[field];
    if (value !== undefined) checkText(value, `${at}.${field}`, false, add);
  }
  if (match.uri !== undefined) checkText(match.uri, `${at}.uri`, true, add);
  for (const [name, value] of Object.entries(match.queryParams ?? {})) {
    checkText(value, joinKey(`${at}.queryParams`, name), false, add);
  }
  checkPort(match.port ?? 0, `${at}.port`, add);
  checkSource(match, at, add);
}

/** @param emptyPrefix whether a prefix may be empty: Envoy takes one in paths alone */
export function checkText(match: StringMatch, path: string, emptyPrefix: boolean, add: Add): void {
  const { exact, prefix, regex } = match;
  if ([exact, prefix, regex].filter((one) => one !== undefined).length > 1) {
    add(path, 'only one of exact, prefix and regex may be there', 'keep one of them');
  }
  if (prefix === '' && !emptyPrefix) {
    add(`${path}.prefix`, 'a prefix may not be empty', 'remove the match, or write "{}" for any');
  }
  const fault = regex === undefined ? null : regexFault(regex);
  if (fault !== null) add(`${path}.regex`, fault);
}

function checkEdits(headers: MessageEditsSpec | undefined, at: string, add: Add): void {
  for (const side of ['request', 'response'] as const) {
    const { set = {}, add: added = {}, remove = [] } = headers?.[side] ?? {};
    for (const [field, values] of Object.entries({ set, add: added })) {
      for (const [name, value] of Object.entries(values)) {
        const path = joinKey(`${at}.${side}.${field}`, name);
        const fault = editedHeaderFault(name, side === 'request') ?? headerValueFault(value);
        if (fault !== null) add(path, fault);
      }
    }
    for (const [i, name] of remove.entries()) {
      const fault = editedHeaderFault(name, false);
      if (fault !== null) add(joinIndex(`${at}.${side}.remove`, i), fault);
    }
  }
}

function checkAuthority({ rewrite, headers }: HttpRule, at: string, add: Add): void {
  const { set = {}, add: added = {} } = headers?.request ?? {};
  const named = [...Object.keys(set), ...Object.keys(added)].filter(isAuthorityHeader);
  if (named.length + ((rewrite?.authority ?? '') === '' ? 0 : 1) > 1) {
    add(`${at}.headers`, 'the host is changed in two places', 'keep rewrite.authority');
  }
}

function checkMirrors(rule: HttpRule, at: string, add: Add): void {
  const { mirror, mirrors = [], mirrorPercent = 0, mirrorPercentage } = rule;
  if (mirror !== undefined) checkDestination(mirror, `${at}.mirror`, add);
  if (mirrorPercent > 100) add(`${at}.mirrorPercent`, `${mirrorPercent} % is more than 100`);
  checkShare(mirrorPercentage, `${at}.mirrorPercentage`, add);
  for (const [i, { destination, percentage }] of mirrors.entries()) {
    const path = joinIndex(`${at}.mirrors`, i);
    checkDestination(destination, `${path}.destination`, add);
    checkShare(percentage, `${path}.percentage`, add);
  }
}

function checkShare(share: { readonly value: number } | undefined, path: string, add: Add): void {
  const { value } = share ?? { value: 0 };
  if (value < 0 || value > 100) add(`${path}.value`, `${value} % is not from 0 to 100`);
}

function checkRewrite(rewrite: HttpRule['rewrite'], at: string, add: Add): void {
  if (rewrite === undefined) return;
  const { uri = '', authority = '', uriRegexRewrite } = rewrite;
  if (uri !== '' && uriRegexRewrite !== undefined) {
    add(at, 'uri stands beside uriRegexRewrite', 'remove one of them');
  }
  if (uri === '' && authority === '' && uriRegexRewrite === undefined) {
    add(at, 'the rewrite changes nothing', 'add uri, uriRegexRewrite or authority');
  }
  if (uriRegexRewrite === undefined) return;
  const path = `${at}.uriRegexRewrite`;
  const { match = '', rewrite: replacement = '' } = uriRegexRewrite;
  if (match === '' || replacement === '') add(path, 'it needs both match and rewrite');
  const fault = match === '' ? null : regexFault(match);
  if (fault !== null) add(`${path}.match`, fault);
}
