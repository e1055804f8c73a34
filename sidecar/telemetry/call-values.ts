// What logs and CEL's attributes both tell of a call, by Envoy's definitions.
import type { Downstream, Exchange } from '../exchange.ts';

/** Envoy's response code details, blanks still in them. */
export function detailsOf({ details, failure }: Exchange): string {
  if (details !== '') return details;
  return failure === null ? 'via_upstream' : failure.details;
}

/** What gRPC's callers take an HTTP status for, where there is no other word (gRPC's http-grpc-status-mapping). */
const ofHttp: ReadonlyMap<number, number> = new Map([
  [400, 13],
  [401, 16],
  [403, 7],
  [404, 12],
  [429, 14],
  [502, 14],
  [503, 14],
  [504, 14],
]);
const unknownStatus = 2;

/** Null: there was no answer. */
export function grpcStatusOf({ grpcStatus, status }: Exchange): number | null {
  if (/^\d{1,9}$/.test(grpcStatus)) return Number(grpcStatus);
  return status === 0 ? null : (ofHttp.get(status) ?? unknownStatus);
}

const certificateParts = {
  By: /^By=([^;]*)/,
  Hash: /;Hash=([^;]*)/,
  Subject: /;Subject="((?:[^"\\]|\\.)*)"/,
} as const;

export type CertificatePart = keyof typeof certificateParts;

/** The sidecar keeps what it tells the application of the caller's certificate. Null: there is none. */
export function certificatePart(
  { forwardedClientCert }: Pick<Downstream, 'forwardedClientCert'>,
  part: CertificatePart,
): string | null {
  return certificateParts[part].exec(forwardedClientCert)?.[1] ?? null;
}

/** As Istio names them. */
export function virtualHostOf(x: Exchange): string {
  const { direction, facts } = x.downstream;
  if (direction === 'inbound') return `inbound|http|${facts.destinationPort}`;
  const [host] = x.service?.hosts ?? [];
  return host === undefined ? 'allow_any' : `${host}:${x.servicePort}`;
}
