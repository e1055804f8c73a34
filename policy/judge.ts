// The whole path of one recorded call: transport, peer, protocol, head, CUSTOM, JWT, rules. As a sidecar takes it.
import type { ExtensionProvider } from '#api/kinds/mesh-config.ts';

import type { ApiKeys } from './api-keys/compile.ts';
import { judgeKeys } from './api-keys/judge.ts';
import type { CompiledPolicies } from './compile.ts';
import { decide, decideCustom } from './decide.ts';
import { describe, explain } from './explain.ts';
import type { ConnectionFacts, RequestFacts } from './facts.ts';
import { alpnOf, firstBytesOf, hostsOf, identitiesOf, type RecordedCall } from './judge/call.ts';
import { cutHopByHop } from './judge/headers.ts';
import { refusalOf } from './judge/refusals.ts';
import { requestFacts } from './judge/request-facts.ts';
import { authenticate, type TokenOutcome } from './jwt/authenticate.ts';
import { presume } from './jwt/presume.ts';
import type { AdmittedRequest } from './request.ts';
import { admitRequest } from './request.ts';
import { admitPeer, admitTransport, chooseProtocol } from './transport.ts';
import type { Decision, Explanation, Verdict } from './verdict.ts';

export interface Outcome {
  readonly decision: Decision;
  /** HTTP status; 0: there is no response. 200 stands for whatever the application answers. */
  readonly status: number;
  /** Envoy's response code details, '' when allowed. */
  readonly details: string;
  /** How the bytes were read: HTTP rules or TCP rules judged them; '' = neither came to it. */
  readonly protocol: 'http' | 'tcp' | '';
  /** As the rules saw them; '' without a request. */
  readonly path: string;
  readonly authority: string;
  readonly verdict: Verdict | null;
  readonly explanation: Explanation | null;
  /** Why, in a sentence. */
  readonly reason: string;
  /** An authorizer was asked: whether it let the call pass. */
  readonly authorizer: { readonly provider: string; readonly allowed: boolean } | null;
  /** What the rules were given; null where it did not come to them. */
  readonly facts: {
    readonly connection: ConnectionFacts;
    readonly request: RequestFacts | null;
  } | null;
}

export interface JudgeOptions {
  /** Stands for the external authorizers of CUSTOM rules. Without it they refuse. */
  authorizer?(provider: ExtensionProvider, call: RecordedCall): Promise<boolean>;
  /** Claims of a token that counts as found and its signature as good; the call's own are not looked for. */
  readonly claims?: Readonly<Record<string, unknown>>;
  /** ApiKeyAuthentications of the callee; without them no key is asked for. */
  readonly apiKeys?: ApiKeys | null;
}

/** Judges one call. Never throws on what a call holds. */
export async function judge(
  p: CompiledPolicies,
  call: RecordedCall,
  options: JudgeOptions = {},
): Promise<Outcome> {
  const { identity } = call.source;
  const { port } = call.destination;
  const sni = (call.sni ?? `outbound_.${port}_._.srv.svc.cluster.local`).toLowerCase();
  const hello = identity === null ? null : { alpn: alpnOf(call), sni };
  const transport = admitTransport(p, port, hello);
  if (transport.kind === 'refused') return closed(placed(transport.reason, transport.at));
  const identities =
    identity === null || transport.kind !== 'terminate' ? [] : identitiesOf(identity);
  if (transport.kind === 'terminate') {
    if (identity === 'none') return closed('the client sent no certificate');
    const peer = admitPeer(p, identities);
    if (!peer.ok) return closed(peer.reason);
  }
  const connection: ConnectionFacts = {
    mtls: transport.kind === 'terminate',
    identities,
    sourceIp: call.source.ip,
    destinationIp: call.destination.ip,
    destinationPort: port,
    sni: hello === null ? '' : sni,
  };
  const carried = transport.kind === 'terminate' ? 'mtls' : transport.kind;
  const alpn = carried === 'mtls' ? (hello?.alpn[0] ?? '') : '';
  const protocol = chooseProtocol(p, port, carried, alpn, firstBytesOf(call));
  if (protocol === 'http') return judgeHttp(p, call, connection, options);
  const outcome = await judgeTcp(p, call, connection, options);
  return transport.kind === 'opaque' && outcome.decision === 'allow'
    ? closed("TLS that is not the mesh's is passed on as it is, and the application speaks none")
    : outcome;
}

const undecided = {
  details: '',
  protocol: '',
  path: '',
  authority: '',
  verdict: null,
  explanation: null,
  authorizer: null,
  facts: null,
} as const;

function closed(reason: string): Outcome {
  return { ...undecided, decision: 'closed', status: 0, reason };
}

function placed(reason: string, at: string | null): string {
  return at === null ? reason : `${reason} (${at})`;
}

async function judgeTcp(
  p: CompiledPolicies,
  call: RecordedCall,
  connection: ConnectionFacts,
  options: JudgeOptions,
): Promise<Outcome> {
  const facts = { connection, request: null };
  const base = { ...undecided, protocol: 'tcp', status: 0, facts } as const;
  const custom = decideCustom(p.tcp, connection, null);
  if (custom !== null) {
    const { provider, verdict } = custom;
    const allowed = provider !== null && (await ask(options, provider, call));
    if (!allowed) {
      const reason = describe(p.tcp, verdict);
      return { ...base, decision: 'closed', verdict, reason, authorizer: asked(provider, false) };
    }
  }
  const verdict = decide(p.tcp, connection, null);
  const explanation = explain(p.tcp, connection, null);
  const decision = verdict.allowed ? 'allow' : 'closed';
  return { ...base, decision, verdict, explanation, reason: explanation.summary };
}

async function judgeHttp(
  p: CompiledPolicies,
  call: RecordedCall,
  connection: ConnectionFacts,
  options: JudgeOptions,
): Promise<Outcome> {
  const head = admitHead(p, call, connection);
  if ('decision' in head) return { ...undecided, protocol: 'http', ...head };
  let request = head.request;
  const seen = { protocol: 'http', path: request.path, authority: request.authority } as const;
  const { apiKeys = null } = options;
  if (apiKeys !== null) {
    const keyed = judgeKeys(apiKeys, connection, request);
    if (!keyed.ok) {
      const { details, message, source } = keyed;
      const refused = { decision: 'unauthenticated', status: 401, details } as const;
      return { ...undecided, ...seen, ...refused, reason: `${message}: asked for by ${source}` };
    }
    request = request.authenticated(keyed.edits);
  }
  const custom = decideCustom(p.http, connection, request);
  let authorizer: Outcome['authorizer'] = null;
  if (custom !== null) {
    const { provider, verdict } = custom;
    const allowed = provider !== null && (await ask(options, provider, call));
    authorizer = asked(provider, allowed);
    if (!allowed) {
      const details = provider === null ? verdict.details : 'ext_authz_denied';
      const facts = { connection, request };
      const reason = describe(p.http, verdict);
      const refused = { decision: 'deny', status: 403, details, verdict, reason } as const;
      return { ...undecided, ...seen, ...refused, facts, authorizer };
    }
  }
  const token = await authenticateCall(p, request, options);
  if (!token.ok) {
    const { status, details, message } = token;
    const decision = status === 401 ? 'unauthenticated' : 'deny';
    return { ...undecided, ...seen, authorizer, decision, status, details, reason: message };
  }
  request = request.authenticated(token);
  const verdict = decide(p.http, connection, request);
  const explanation = explain(p.http, connection, request);
  return {
    ...seen,
    path: request.path,
    authorizer,
    decision: verdict.allowed ? 'allow' : 'deny',
    status: verdict.allowed ? 200 : 403,
    details: verdict.details,
    verdict,
    explanation,
    reason: explanation.summary,
    facts: { connection, request },
  };
}

function admitHead(
  p: CompiledPolicies,
  call: RecordedCall,
  connection: ConnectionFacts,
): { readonly request: ReturnType<typeof requestFacts> } | ReturnType<typeof refusalOf> {
  const { method = 'GET', path: rawTarget = '/', minor = 1 } = call;
  const endToEnd = cutHopByHop(call.headers ?? []);
  if (endToEnd === null) {
    const details = 'http1.connection_header_rejected';
    return {
      ...refusalOf('malformed', call),
      details,
      reason: 'Connection names a header it must not',
    };
  }
  const hosts = hostsOf(call);
  if (hosts.length > 1) {
    return { ...refusalOf('malformed', call), reason: 'the request has two Host headers' };
  }
  const admitted: AdmittedRequest = { path: '', authority: '' };
  const raw = { method, rawTarget, hosts, minor, upgrade: endToEnd.upgrade };
  const refusal = admitRequest(raw, p.normalization, admitted);
  if (refusal !== '') return refusalOf(refusal, call);
  return { request: requestFacts(connection, method, admitted, endToEnd.lines) };
}

async function ask(
  options: JudgeOptions,
  provider: ExtensionProvider,
  call: RecordedCall,
): Promise<boolean> {
  return options.authorizer === undefined ? false : options.authorizer(provider, call);
}

function asked(provider: ExtensionProvider | null, allowed: boolean): Outcome['authorizer'] {
  return provider === null ? null : { provider: provider.name, allowed };
}

async function authenticateCall(
  p: CompiledPolicies,
  request: RequestFacts,
  options: JudgeOptions,
): Promise<TokenOutcome> {
  if (p.tokens === null) return { ok: true, token: null, remove: [], path: null, append: [] };
  if (options.claims !== undefined) return presume(p.tokens, request, options.claims);
  return authenticate(p.tokens, request);
}
