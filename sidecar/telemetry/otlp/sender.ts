// Sends one batch of spans to a collector: OTLP over HTTP, or one gRPC call, by the sidecar's own wire engine. Loaded with the first.
import type { FailureCode } from '../../failures.ts';
import type { ProviderWay } from '../../upstream/provider-way.ts';
import { DetachedCall } from '../../wire/detached-call.ts';
import type { HttpPool } from '../../wire/http-pool.ts';
import { callUnary, UnaryRefusal } from '../../wire/unary-call.ts';
import { DirectWay } from './direct-way.ts';
import { readPartialSuccess, type PartialSuccess } from './partial-success.ts';
import { SpansRefused } from './span-queue.ts';
import { tracesPath, type OtlpTarget } from './target.ts';

/** A service of the mesh by its name; null: it is none. Throws where it has no endpoint. */
export type MeshWay = (host: string, port: number) => ProviderWay | null;

const method = '/opentelemetry.proto.collector.trace.v1.TraceService/Export';
const defaultTimeoutMs = 10_000;
const answerBytesMax = 64 * 1024;

/** OTLP: what may be asked again (opentelemetry.io/docs/specs/otlp, "Failures"). */
const passingStatuses: ReadonlySet<number> = new Set([429, 502, 503, 504]);
const passingGrpcStatuses: ReadonlySet<string> = new Set([
  '',
  '1',
  '4',
  '8',
  '10',
  '11',
  '14',
  '15',
]);

export class OtlpSender {
  private readonly target: OtlpTarget;
  private readonly meshWay: MeshWay;
  private readonly timeoutMs: number;
  private direct: DirectWay | null = null;

  constructor(target: OtlpTarget, meshWay: MeshWay) {
    this.target = target;
    this.meshWay = meshWay;
    this.timeoutMs = target.timeoutMs ?? defaultTimeoutMs;
  }

  /**
   * Resolves when the collector has taken the spans, or all but those that it says; rejects with why it has not.
   * @param body of an ExportTraceServiceRequest
   */
  async send(body: Buffer): Promise<PartialSuccess> {
    const { host, port, tls } = this.target;
    const way = tls === true ? null : this.meshWay(host, port);
    if (way !== null) {
      return explained(
        way,
        way.watched((pool) => this.call(pool, way.scheme, body)),
      );
    }
    this.direct ??= new DirectWay(this.target);
    const { pool, scheme } = this.direct;
    return explained(this.direct, this.call(pool, scheme, body));
  }

  close(): void {
    this.direct?.pool.close();
  }

  private call(pool: HttpPool, scheme: string, body: Buffer): Promise<PartialSuccess> {
    return this.target.protocol === 'grpc'
      ? this.callGrpc(pool, scheme, body)
      : this.post(pool, scheme, body);
  }

  private async callGrpc(pool: HttpPool, scheme: string, message: Buffer): Promise<PartialSuccess> {
    const { headers: metadata = [] } = this.target;
    const { timeoutMs } = this;
    const authority = this.authority();
    try {
      const answer = await callUnary(pool, {
        path: method,
        authority,
        scheme,
        metadata,
        message,
        timeoutMs,
        answerBytesMax,
      });
      return readPartialSuccess(answer);
    } catch (error) {
      const final = error instanceof UnaryRefusal && !passingGrpcStatuses.has(error.grpcStatus);
      throw final ? new SpansRefused(error.message, { cause: error }) : error;
    }
  }

  private post(pool: HttpPool, scheme: string, body: Buffer): Promise<PartialSuccess> {
    const { path = tracesPath, headers = [] } = this.target;
    const { promise, resolve, reject } = Promise.withResolvers<PartialSuccess>();
    const end = (outcome: number | FailureCode, answer: Buffer): void => {
      const error = errorOf(outcome);
      if (error === null) resolve(readPartialSuccess(answer));
      else reject(error);
    };
    const lines = [
      ['content-type', 'application/x-protobuf'] as const,
      ['user-agent', 'selvage'] as const,
      ...headers,
    ];
    const authority = this.authority();
    const asked = { method: 'POST', path, authority, scheme, lines, body, answerBytesMax };
    const call = DetachedCall.of(asked, this.timeoutMs, end);
    if (call === null) reject(new SpansRefused('the headers of the provider cannot be sent'));
    else call.ask(pool.http1);
    return promise;
  }

  private authority(): string {
    const { host, port } = this.target;
    return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  }
}

/** A code does not say what was wrong with a certificate, or why nobody listens: the connection does. */
async function explained<T>(way: { readonly lastError: string }, call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    const { lastError } = way;
    if (!(error instanceof Error) || !notOpened.has(error.message) || lastError === '') throw error;
    throw new Error(`${error.message}: ${lastError}`, { cause: error });
  }
}

const notOpened: ReadonlySet<string> = new Set<FailureCode>(['upstream-connect', 'upstream-tls']);

function errorOf(outcome: number | FailureCode): Error | null {
  if (typeof outcome === 'string') return new Error(outcome);
  if (outcome >= 200 && outcome < 300) return null;
  const message = `HTTP status ${outcome}`;
  return passingStatuses.has(outcome) ? new Error(message) : new SpansRefused(message);
}
