// Cross-origin requests as Envoy's filter has them: which origins may, the answer to preflights, headers of answers.
import type { CorsPolicy } from '#api/traffic/route.ts';

import type { RequestView, ResponseView } from '../exchange.ts';
import { joined } from './query.ts';
import type { RegexFactory } from './regex.ts';
import { compileText, type TextMatcher } from './text-matcher.ts';
import { fieldText } from './wire-text.ts';

export interface CompiledCors {
  readonly anyOrigin: boolean;
  readonly origins: readonly TextMatcher[];
  /** '' leaves the header out; `*` gives back what the preflight asks for. */
  readonly allowMethods: string;
  readonly allowHeaders: string;
  readonly exposeHeaders: string;
  readonly allowCredentials: boolean;
  readonly maxAge: string;
  readonly ignoreUnmatchedPreflights: boolean;
}

export function compileCors(policy: CorsPolicy, regexes: RegexFactory): CompiledCors {
  const origins = policy.allowOrigins.map((match) => compileText(match, regexes));
  return {
    // As Envoy: whatever matches a star itself means every origin.
    anyOrigin: origins.some((origin) => origin.matches('*', 1)),
    origins,
    allowMethods: policy.allowMethods.join(','),
    allowHeaders: policy.allowHeaders.join(','),
    exposeHeaders: policy.exposeHeaders.join(','),
    allowCredentials: policy.allowCredentials === true,
    maxAge: policy.maxAgeS === undefined ? '' : String(policy.maxAgeS),
    ignoreUnmatchedPreflights: policy.ignoreUnmatchedPreflights === true,
  };
}

/** What a cross-origin request meets. */
export type CorsOutcome =
  /** Answered with 200 and these lines `name: value\r\n`; details `cors_response`. */
  | { readonly kind: 'preflight'; readonly headers: string }
  /** Goes on; `allowOrigin` edits its answer. */
  | { readonly kind: 'allowed'; readonly origin: string };

/** Null: CORS has nothing to say of the request. Only of routes that forward, as in Envoy. */
export function corsOf(cors: CompiledCors, request: RequestView): CorsOutcome | null {
  const origin = joined(request.values('origin'), 'origin') ?? '';
  if (origin === '') return null;
  const allowed = allows(cors, origin);
  const asked = request.method === 'OPTIONS' ? first(request, 'access-control-request-method') : '';
  if (asked !== '' && (allowed || cors.ignoreUnmatchedPreflights)) {
    return { kind: 'preflight', headers: preflight(cors, request, allowed ? origin : '', asked) };
  }
  return allowed ? { kind: 'allowed', origin } : null;
}

/** Edits the upstream's answer to a request of an origin that may. */
export function allowOrigin(cors: CompiledCors, origin: string, response: ResponseView): void {
  set(response, 'access-control-allow-origin', origin);
  if (cors.allowCredentials) set(response, 'access-control-allow-credentials', 'true');
  if (cors.exposeHeaders !== '') {
    set(response, 'access-control-expose-headers', cors.exposeHeaders);
  }
}

function allows(cors: CompiledCors, origin: string): boolean {
  return cors.anyOrigin || cors.origins.some((match) => match.matches(origin, origin.length));
}

function preflight(
  cors: CompiledCors,
  request: RequestView,
  origin: string,
  method: string,
): string {
  const { allowMethods, allowHeaders } = cors;
  const headers = allowHeaders === '*' ? first(request, 'access-control-request-headers') : '';
  return (
    line('access-control-allow-origin', origin) +
    line('access-control-allow-credentials', cors.allowCredentials ? 'true' : '') +
    line('access-control-allow-methods', allowMethods === '*' ? method : allowMethods) +
    line('access-control-allow-headers', allowHeaders === '*' ? headers : allowHeaders) +
    line('access-control-max-age', cors.maxAge)
  );
}

function line(name: string, value: string): string {
  return value === '' ? '' : `${name}: ${fieldText(value)}\r\n`;
}

function first(request: RequestView, name: string): string {
  return joined(request.values(name), name) ?? '';
}

function set(response: ResponseView, name: string, value: string): void {
  response.remove(name);
  response.append(name, value);
}
