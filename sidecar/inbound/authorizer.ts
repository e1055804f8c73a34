// CUSTOM authorization: asks the external authorizer of a matching rule, as Envoy's ext_authz does.
import type { ExtensionProvider } from '#api/kinds/mesh-config.ts';
import { decideCustom, type CustomMatch } from '#policy/decide.ts';
import type { Log } from '#runtime/log.ts';

import { durationMs } from '../duration.ts';
import type { Exchange } from '../exchange.ts';
import { failures } from '../failures.ts';
import { PASS, type Outcome } from '../request-path.ts';
import { compileHeaderNames } from './header-names.ts';

type HttpProvider = NonNullable<ExtensionProvider['envoyExtAuthzHttp']>;

/** A check as it goes to the authorizer. */
export interface Check {
  readonly service: string;
  readonly port: number;
  readonly method: string;
  readonly path: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly timeoutMs: number;
}

export interface CheckReply {
  readonly status: number;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string;
}

/** Makes the call; rejects when no answer comes in time. See authorizer-client.ts. */
export type CheckCall = (check: Check) => Promise<CheckReply>;

/** The check itself cannot be sent: the client's doing, so `failOpen` must not let it pass. */
export class Unaskable extends Error {}

/** Istio's default, which is as good as none; its documentation says so. */
const defaultTimeoutMs = 600_000;
/** Between two hops only, or made anew by the client (RFC 9110 section 7.6.1). */
const hopHeaders: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'content-length',
  'host',
  'expect',
  'date',
  'server',
]);
/** Added by Envoy to every list of headersToDownstreamOnDeny. */
const alwaysOnDeny = ['location', 'www-authenticate', 'content-type'];

export class Authorizers {
  readonly #call: CheckCall;
  readonly #log: Log;
  readonly #compiled = new WeakMap<HttpProvider, CompiledProvider>();

  constructor(call: CheckCall, log: Log) {
    this.#call = call;
    this.#log = log;
  }

  /** The layer: nothing to wait for unless a CUSTOM rule matches. */
  judge(x: Exchange): Outcome | Promise<Outcome> {
    const rules = x.enforced?.policies.http;
    if (rules === undefined) return failures.internal;
    const match = decideCustom(rules, x.downstream.facts, x.request);
    return match === null ? PASS : this.#ask(x, match);
  }

  #ask(x: Exchange, match: CustomMatch): Outcome | Promise<Outcome> {
    const http = match.provider?.envoyExtAuthzHttp;
    if (http === undefined) {
      // Unknown, ambiguous, or of a kind that cannot be asked: as Istio, the call is denied.
      x.verdict = match.verdict;
      x.details = match.verdict.details;
      return failures.denied;
    }
    return this.#check(x, match, http);
  }

  async #check(x: Exchange, match: CustomMatch, http: HttpProvider): Promise<Outcome> {
    const provider = this.#compile(http);
    const check = makeCheck(x, http, provider);
    let reply: CheckReply;
    try {
      reply = await this.#call(check);
      if (reply.status >= 500) throw new Error(`the authorizer answered ${reply.status}`);
    } catch (error) {
      const { service, port } = http;
      const failOpen = http.failOpen && !(error instanceof Unaskable);
      this.#log.warn({ service, port, failOpen, error }, 'no answer of an external authorizer');
      return failed(x, match, { ...http, failOpen });
    }
    return reply.status === 200
      ? admit(x, provider, reply)
      : refuse(x, match, http, provider, reply);
  }

  #compile(http: HttpProvider): CompiledProvider {
    const known = this.#compiled.get(http);
    if (known !== undefined) return known;
    const include = [...(http.includeRequestHeadersInCheck ?? []), 'authorization'];
    const onDeny = http.headersToDownstreamOnDeny ?? [];
    const compiled = {
      include: compileHeaderNames(include),
      toUpstream: compileHeaderNames(http.headersToUpstreamOnAllow ?? []),
      toDownstream: compileHeaderNames(http.headersToDownstreamOnAllow ?? []),
      onDeny: onDeny.length === 0 ? () => true : compileHeaderNames([...onDeny, ...alwaysOnDeny]),
      timeoutMs: durationMs(http.timeout ?? '', defaultTimeoutMs),
    };
    this.#compiled.set(http, compiled);
    return compiled;
  }
}

interface CompiledProvider {
  readonly include: (name: string) => boolean;
  readonly toUpstream: (name: string) => boolean;
  readonly toDownstream: (name: string) => boolean;
  readonly onDeny: (name: string) => boolean;
  readonly timeoutMs: number;
}

/** Method, path, host and the chosen headers of the request; never its body. */
function makeCheck(x: Exchange, http: HttpProvider, provider: CompiledProvider): Check {
  const { request } = x;
  const headers: (readonly [string, string])[] = [['host', request.authority]];
  for (const [name, value] of request.lines()) {
    const key = name.toLowerCase();
    if (!hopHeaders.has(key) && provider.include(key)) headers.push([key, bytesOf(value)]);
  }
  for (const [name, value] of Object.entries(http.includeAdditionalHeadersInCheck ?? {})) {
    headers.push([name.toLowerCase(), value]);
  }
  const { service, port } = http;
  const path = `${http.pathPrefix ?? ''}${request.path}`;
  return { service, port, method: request.method, path, headers, timeoutMs: provider.timeoutMs };
}

const notAscii = /[^\0-\x7f]/;

/** As it was sent, one byte a character: a header with other characters could not go out. */
function bytesOf(value: string): string {
  return notAscii.test(value) ? Buffer.from(value).toString('latin1') : value;
}

/** An OK does not allow: tokens and rules come after it. */
function admit(x: Exchange, provider: CompiledProvider, reply: CheckReply): Outcome {
  const toDownstream: (readonly [string, string])[] = [];
  const replaced = new Set<string>();
  for (const [name, value] of reply.headers) {
    if (hopHeaders.has(name)) continue;
    if (provider.toUpstream(name)) {
      if (!replaced.has(name)) x.request.removeSpellings(name);
      replaced.add(name);
      x.request.append(name, value);
    }
    if (provider.toDownstream(name)) toDownstream.push([name, value]);
  }
  if (toDownstream.length > 0) x.responseHeaders = toDownstream;
  return PASS;
}

function refuse(
  x: Exchange,
  match: CustomMatch,
  http: HttpProvider,
  provider: CompiledProvider,
  reply: CheckReply,
): Outcome {
  // Informational and success statuses other than 200 would read as an answer of the application.
  if (reply.status < 300) return failed(x, match, http);
  x.verdict = match.verdict;
  x.replyHeaders = reply.headers
    .filter(([name]) => !hopHeaders.has(name) && provider.onDeny(name))
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('');
  return { ...failures['authorizer-denied'], status: reply.status, body: reply.body };
}

/** No answer, or one that says nothing: `failOpen` decides. */
function failed(x: Exchange, match: CustomMatch, http: HttpProvider): Outcome {
  if (http.failOpen) {
    x.request.append('x-envoy-auth-failure-mode-allowed', 'true');
    return PASS;
  }
  x.verdict = match.verdict;
  const status = Number(http.statusOnError ?? '403');
  const valid = Number.isInteger(status) && status >= 400 && status <= 599;
  return { ...failures['authorizer-failed'], status: valid ? status : 403 };
}
