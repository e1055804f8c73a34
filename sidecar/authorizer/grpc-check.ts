// Asks an authorizer over gRPC: envoy.service.auth.v3.Authorization/Check. Loaded when the first is asked.
import type { ExtensionProvider } from '#api/kinds/mesh-config.ts';
import { formatSpiffeId } from '#api/spiffe.ts';

import type { Exchange, UpstreamPool } from '../exchange.ts';
import type { InForce } from '../in-force.ts';
import type { Member } from '../upstream/member.ts';
import type { Upstreams } from '../upstream/upstreams.ts';
import { callUnary } from '../wire/unary-call.ts';
import { encodeCheckRequest } from './check-request.ts';
import { type CheckResponse, decodeCheckResponse, type HeaderOption } from './check-response.ts';
import type { Ask, CheckBody, Decision, HeaderPair } from './decision.ts';
import { hostOf, partialBodyHeader } from './http-check.ts';

export type GrpcProvider = NonNullable<ExtensionProvider['envoyExtAuthzGrpc']>;

const method = '/envoy.service.auth.v3.Authorization/Check';
const answerBytesMax = 256 * 1024;
const deniedStatus = 403;

export interface GrpcParts {
  readonly inForce: InForce;
  readonly upstreams: Upstreams;
}

export function grpcAsk(parts: GrpcParts, grpc: GrpcProvider, timeoutMs: number): Ask {
  const { port } = grpc;
  const host = hostOf(grpc.service);
  const packAsBytes = grpc.includeRequestBodyInCheck?.packAsBytes ?? false;
  return async (x, body) => {
    const { pool, member } = poolOf(parts, host, port);
    const message = messageOf(x, body, packAsBytes);
    const scheme = member !== null && member.endpoint.identity !== null ? 'https' : 'http';
    const authority = `${host}:${port}`;
    const ask = { path: method, authority, scheme, message, timeoutMs, answerBytesMax };
    return decisionOf(decodeCheckResponse(await watched(member, () => callUnary(pool, ask))));
  };
}

/** A service of the mesh gets mutual TLS to one of its endpoints, any other name plain TCP. */
function poolOf(
  { inForce, upstreams }: GrpcParts,
  host: string,
  port: number,
): { pool: UpstreamPool; member: Member | null } {
  const route = inForce.current()?.routes.find(`${host}:${port}`, port);
  if (route === undefined || route === 'unknown-port' || route === 'unknown-host') {
    return { pool: upstreams.external(host, port), member: null };
  }
  const member = upstreams.cluster(route)?.pick([]) ?? null;
  if (member === null) throw new Error(`${host} has no endpoint`);
  return { pool: member.pool, member };
}

/** An endpoint that gives no answers is left out for a while, as one that applications call. */
async function watched(member: Member | null, call: () => Promise<Buffer>): Promise<Buffer> {
  if (member === null) return call();
  const startedMs = performance.now();
  const end = (status: number): void => {
    const latencyMs = performance.now() - startedMs;
    member.end({ status, fault: status === 0 ? 'reset' : 'none', latencyMs });
  };
  member.begin();
  try {
    const answer = await call();
    end(200);
    return answer;
  } catch (error) {
    end(0);
    throw error;
  }
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
