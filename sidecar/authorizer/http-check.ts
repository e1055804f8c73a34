// Asks an authorizer over HTTP: a request of the same method and path, whose status is the decision.
import type { ExtensionProvider } from '#api/kinds/mesh-config.ts';

import type { Exchange } from '../exchange.ts';
import type { HttpAnswer, HttpAsk, HttpClient } from '../upstream/http-client.ts';
import { type Allowed, type Ask, type CheckBody, type Decision, hopHeaders } from './decision.ts';
import { compileHeaderNames } from './header-names.ts';

export type HttpProvider = NonNullable<ExtensionProvider['envoyExtAuthzHttp']>;

/** A refusal's body is passed to the client; more than this is an error. */
const answerBytesMax = 64 * 1024;
/** Added by Envoy to every list of headersToDownstreamOnDeny. */
const alwaysOnDeny = ['location', 'www-authenticate', 'content-type'];
const notAscii = /[^\0-\x7f]/;

export function httpAsk(client: HttpClient, http: HttpProvider, timeoutMs: number): Ask {
  // The second is Istio's older name for the first.
  const { includeRequestHeadersInCheck, includeHeadersInCheck = [] } = http;
  const include = [...(includeRequestHeadersInCheck ?? includeHeadersInCheck), 'authorization'];
  const onDeny = http.headersToDownstreamOnDeny ?? [];
  const names: Names = {
    include: compileHeaderNames(include),
    toUpstream: compileHeaderNames(http.headersToUpstreamOnAllow ?? []),
    toDownstream: compileHeaderNames(http.headersToDownstreamOnAllow ?? []),
    onDeny: onDeny.length === 0 ? () => true : compileHeaderNames([...onDeny, ...alwaysOnDeny]),
  };
  return async (x, body) =>
    decisionOf(await client(makeCheck(x, http, names, body, timeoutMs)), names);
}

interface Names {
  readonly include: (name: string) => boolean;
  readonly toUpstream: (name: string) => boolean;
  readonly toDownstream: (name: string) => boolean;
  readonly onDeny: (name: string) => boolean;
}

/**
 * Method, path, host and the chosen headers of the request. Of X-Forwarded-* too only what is chosen: what a client says
 * in them is believed by nobody who did not ask for it.
 */
function makeCheck(
  { request }: Exchange,
  http: HttpProvider,
  { include }: Names,
  body: CheckBody | null,
  timeoutMs: number,
): HttpAsk {
  const headers: (readonly [string, string])[] = [['host', request.authority]];
  for (const [name, value] of request.lines()) {
    const key = name.toLowerCase();
    if (!hopHeaders.has(key) && include(key)) headers.push([key, bytesOf(value)]);
  }
  for (const [name, value] of Object.entries(http.includeAdditionalHeadersInCheck ?? {})) {
    headers.push([name.toLowerCase(), value]);
  }
  if (body !== null) headers.push([partialBodyHeader, String(body.isPartial)]);
  return {
    origin: `http://${hostOf(http.service)}:${http.port}`,
    path: `${http.pathPrefix ?? ''}${request.path}`,
    method: request.method,
    headers,
    ...(body !== null && body.bytes.length > 0 && { body: body.bytes }),
    timeoutMs,
    answerBytesMax,
  };
}

export const partialBodyHeader = 'x-envoy-auth-partial-body';

/** As it was sent, one byte a character: a header with other characters could not go out. */
function bytesOf(value: string): string {
  return notAscii.test(value) ? Buffer.from(value).toString('latin1') : value;
}

const noEdits: Allowed = {
  allowed: true,
  set: [],
  append: [],
  remove: [],
  downstream: [],
  downstreamCut: [],
  querySet: [],
  queryRemove: [],
};

function decisionOf({ status, headers, body }: HttpAnswer, names: Names): Decision {
  const kept = headers.filter(([name]) => !hopHeaders.has(name));
  if (status === 200) {
    const set = kept.filter(([name]) => names.toUpstream(name));
    const downstream = kept.filter(([name]) => names.toDownstream(name));
    return { ...noEdits, set, downstream };
  }
  // Informational and success statuses other than 200 would read as an answer of the application.
  if (status < 300 || status >= 500) throw new Error(`the authorizer answered ${status}`);
  return { allowed: false, status, headers: kept.filter(([name]) => names.onDeny(name)), body };
}

/** `ext-authz.ns.svc.cluster.local`, or Istio's `namespace/host`. */
export function hostOf(service: string): string {
  return service.slice(service.indexOf('/') + 1);
}
