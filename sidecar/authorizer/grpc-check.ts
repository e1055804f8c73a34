// Asks an authorizer over gRPC: envoy.service.auth.v3.Authorization/Check. Loaded when the first is asked.
import type { ExtensionProvider } from '#api/kinds/mesh-config.ts';
import { formatSpiffeId } from '#api/spiffe.ts';

import type { Exchange } from '../exchange.ts';
import { providerWay, type ProviderParts } from '../upstream/provider-way.ts';
import { callUnary } from '../wire/unary-call.ts';
import { encodeCheckRequest } from './check-request.ts';
import { type CheckResponse, decodeCheckResponse, type HeaderOption } from './check-response.ts';
import type { Ask, CheckBody, Decision, HeaderPair } from './decision.ts';
import { hostOf, partialBodyHeader } from './http-check.ts';

export type GrpcProvider = NonNullable<ExtensionProvider['envoyExtAuthzGrpc']>;

const method = '/envoy.service.auth.v3.Authorization/Check';
const answerBytesMax = 256 * 1024;
const deniedStatus = 403;

export function grpcAsk(parts: ProviderParts, grpc: GrpcProvider, timeoutMs: number): Ask {
  const { port } = grpc;
  const host = hostOf(grpc.service);
  const packAsBytes = grpc.includeRequestBodyInCheck?.packAsBytes ?? false;
  return async (x, body) => {
    // A service of the mesh gets mutual TLS to one of its endpoints, any other name plain TCP.
    const way = providerWay(parts, host, port);
    const message = messageOf(x, body, packAsBytes);
    const scheme = way?.scheme ?? 'http';
    const authority = `${host}:${port}`;
    const ask = { path: method, authority, scheme, message, timeoutMs, answerBytesMax };
    const answer =
      way === null
        ? await callUnary(parts.upstreams.external(host, port), ask)
        : await way.watched((pool) => callUnary(pool, ask));
    return decisionOf(decodeCheckResponse(answer));
  };
}

function messageOf(x: Exchange, body: CheckBody | null, packAsBytes: boolean): Buffer {
  const { request, downstream, enforced } = x;
  const { facts } = downstream;
  const mesh = enforced?.snapshot.mesh;
  const workload = enforced?.snapshot.workload;
  const principal =
    mesh === undefined || workload === undefined
      ? ''
      : formatSpiffeId({ ...workload, trustDomain: mesh.trustDomain });
  return encodeCheckRequest({
    source: {
      address: facts.sourceIp,
      port: downstream.remotePort,
      principal: facts.identities[0] ?? '',
    },
    destination: { address: facts.destinationIp, port: facts.destinationPort, principal },
    atMs: Date.now(),
    id: x.requestId,
    method: request.method,
    path: request.path,
    host: request.authority,
    scheme: request.scheme,
    protocol: x.protocol,
    headers: headersOf(x, body),
    body: body?.bytes ?? null,
    packAsBytes,
  });
}

/** All of them, and what HTTP/2 has in its own fields, as Envoy. */
function headersOf({ request }: Exchange, body: CheckBody | null): Map<string, string> {
  const headers = new Map([
    [':authority', request.authority],
    [':method', request.method],
    [':path', request.path],
    [':scheme', request.scheme],
  ]);
  for (const [name, value] of request.lines()) {
    const key = name.toLowerCase();
    if (key === 'host') continue;
    const before = headers.get(key);
    const between = key === 'cookie' ? '; ' : ',';
    headers.set(key, before === undefined ? value : `${before}${between}${value}`);
  }
  if (body !== null) headers.set(partialBodyHeader, String(body.isPartial));
  return headers;
}

function decisionOf(response: CheckResponse): Decision {
  if (!response.allowed) {
    const { status, headers, body } = response;
    const valid = status >= 200 && status <= 599;
    return {
      allowed: false,
      status: valid ? status : deniedStatus,
      headers: headers.map(pairOf),
      body,
    };
  }
  const { headers, headersToRemove, responseHeaders, queryToSet, queryToRemove } = response;
  return {
    allowed: true,
    set: headers.filter(({ append }) => !append).map(pairOf),
    append: headers.filter(({ append }) => append).map(pairOf),
    remove: headersToRemove,
    downstream: responseHeaders.map(pairOf),
    downstreamCut: responseHeaders.filter(({ append }) => !append).map(({ name }) => name),
    querySet: queryToSet,
    queryRemove: queryToRemove,
  };
}

function pairOf({ name, value }: HeaderOption): HeaderPair {
  return [name, value];
}
