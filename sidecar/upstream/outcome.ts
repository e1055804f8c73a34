// How one attempt at a member ended: the one thing that ejection, breakers and balancers learn from.

export interface Outcome {
  /** Of the response, gRPC's mapped to HTTP's; 0: none came. */
  readonly status: number;
  /**
   * `local`: no response because the connection did not open, its peer was not proven, or time ran
   * out. `reset`: the connection or the stream broke, before or within the response. `none` without
   * a status: the caller gave up, which says nothing of the member.
   */
  readonly fault: 'none' | 'local' | 'reset';
  /** From the request's head to the response's; without a response, to the end. */
  readonly latencyMs: number;
}

export const gatewayStatuses: ReadonlySet<number> = new Set([502, 503, 504]);

export function isGatewayStatus(status: number): boolean {
  return gatewayStatuses.has(status);
}

/** What a response counts as: of gRPC, which answers 200 to everything, by its own status (as Envoy). */
export function statusOf(status: number, grpcStatus: string): number {
  if (grpcStatus === '') return status;
  return grpcStatuses.get(grpcStatus) ?? 500;
}

const grpcStatuses: ReadonlyMap<string, number> = new Map([
  ['0', 200],
  ['1', 499],
  ['2', 500],
  ['3', 400],
  ['4', 504],
  ['5', 404],
  ['6', 409],
  ['7', 403],
  ['8', 429],
  ['9', 400],
  ['10', 409],
  ['11', 400],
  ['12', 501],
  ['13', 500],
  ['14', 503],
  ['15', 500],
  ['16', 401],
]);
