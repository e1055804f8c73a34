// CUSTOM authorization: asks the external authorizer of a matching rule, as Envoy's ext_authz does.
import type { ExtensionProvider } from '#api/kinds/mesh-config.ts';
import { decideCustom, type CustomMatch } from '#policy/decide.ts';
import type { Log } from '#runtime/log.ts';

import { durationMs } from '../duration.ts';
import type { Exchange } from '../exchange.ts';
import { failures, type Failure } from '../failures.ts';
import type { InForce } from '../in-force.ts';
import { PASS, type Outcome } from '../request-path.ts';
import { createHttpClient, Unsendable, type HttpClient } from '../upstream/http-client.ts';
import type { Upstreams } from '../upstream/upstreams.ts';
import { admit, refuse, type Ask, type CheckBody, type Decision } from './decision.ts';
import { httpAsk, type HttpProvider } from './http-check.ts';

type GrpcProvider = NonNullable<ExtensionProvider['envoyExtAuthzGrpc']>;
type Provider = HttpProvider | GrpcProvider;

/** Istio's default, which is as good as none; its documentation says so. */
const defaultTimeoutMs = 600_000;

export interface AuthorizerParts {
  readonly inForce: InForce;
  readonly upstreams: Upstreams;
  readonly log: Log;
}

export class Authorizers {
  readonly #parts: AuthorizerParts;
  readonly #client: HttpClient;
  readonly #asks = new WeakMap<Provider, Promise<Ask>>();

  constructor(parts: AuthorizerParts) {
    this.#parts = parts;
    this.#client = createHttpClient(parts.inForce, parts.upstreams);
  }

  /** The layer: nothing to wait for unless a CUSTOM rule matches. */
  judge(x: Exchange): Outcome | Promise<Outcome> {
    const rules = x.enforced?.policies.http;
    if (rules === undefined) return failures.internal;
    const match = decideCustom(rules, x.downstream.facts, x.request);
    return match === null ? PASS : this.#judge(x, match);
  }

  #judge(x: Exchange, match: CustomMatch): Outcome | Promise<Outcome> {
    const { envoyExtAuthzHttp: http, envoyExtAuthzGrpc: grpc } = match.provider ?? {};
    if (http !== undefined) return this.#check(x, match, http, () => this.#http(http));
    if (grpc !== undefined) return this.#check(x, match, grpc, () => this.#grpc(grpc));
    // Unknown, ambiguous, or of a kind that cannot be asked: as Istio, the call is denied.
    x.verdict = match.verdict;
    x.details = match.verdict.details;
    return failures.denied;
  }

  async #check(
    x: Exchange,
    match: CustomMatch,
    provider: Provider,
    askOf: () => Promise<Ask>,
  ): Promise<Outcome> {
    const body = await readBody(x, provider);
    if (body !== null && 'code' in body) return body;
    let decision: Decision;
    try {
      decision = await (await this.#asked(provider, askOf))(x, body);
    } catch (error) {
      const { service, port } = provider;
      // What cannot be sent is the client's doing, so `failOpen` must not let it pass.
      const failOpen = provider.failOpen && !(error instanceof Unsendable);
      const fields = { service, port, failOpen, error };
      this.#parts.log.warn(fields, 'no answer of an external authorizer');
      return failed(x, match, provider, failOpen);
    }
    if (decision.allowed) {
      admit(x, decision);
      return PASS;
    }
    x.verdict = match.verdict;
    return refuse(x, decision);
  }

  #asked(provider: Provider, askOf: () => Promise<Ask>): Promise<Ask> {
    let ask = this.#asks.get(provider);
    if (ask === undefined) {
      ask = askOf();
      this.#asks.set(provider, ask);
    }
    return ask;
  }

  async #http(http: HttpProvider): Promise<Ask> {
    return httpAsk(this.#client, http, timeoutOf(http));
  }

  async #grpc(grpc: GrpcProvider): Promise<Ask> {
    const { grpcAsk } = await import('./grpc-check.ts');
    return grpcAsk(this.#parts, grpc, timeoutOf(grpc));
  }
}

function timeoutOf({ timeout }: Provider): number {
  return durationMs(timeout ?? '', defaultTimeoutMs);
}

/** Null: the authorizer is told none. One that is longer than it may be is refused, or told in part. */
async function readBody(x: Exchange, provider: Provider): Promise<CheckBody | null | Failure> {
  const { maxRequestBytes, allowPartialMessage } = provider.includeRequestBodyInCheck ?? {};
  if (maxRequestBytes === undefined) return null;
  if (!x.request.hasBody || x.request.upgrade !== '') return { bytes: noBytes, isPartial: false };
  const read = await x.stream.readBody(maxRequestBytes);
  if (typeof read !== 'string') return { bytes: read, isPartial: false };
  if (read === 'gone') return failures['downstream-gone'];
  if (allowPartialMessage !== true) return failures['body-too-large'];
  return { bytes: x.stream.bodyStart().subarray(0, maxRequestBytes), isPartial: true };
}

const noBytes = Buffer.alloc(0);

/** No answer, or one that says nothing: `failOpen` decides. */
function failed(
  x: Exchange,
  match: CustomMatch,
  { statusOnError }: Provider,
  failOpen: boolean,
): Outcome {
  if (failOpen) {
    x.request.append('x-envoy-auth-failure-mode-allowed', 'true');
    return PASS;
  }
  x.verdict = match.verdict;
  const status = Number(statusOnError ?? '403');
  const valid = Number.isInteger(status) && status >= 400 && status <= 599;
  return { ...failures['authorizer-failed'], status: valid ? status : 403 };
}
