// The status of a gRPC answer, and what stands for it in HTTP (google.rpc.Code).
import type { ResponseView } from '../exchange.ts';
import type { AnswerTrailers } from '../response-tap.ts';

export interface GrpcStatus {
  readonly code: number;
  readonly message: string;
}

export const codes = { ok: 0, unknown: 2, invalidArgument: 3, unimplemented: 12 } as const;

/** By code, from OK to UNAUTHENTICATED. */
const httpStatuses: readonly number[] = [
  200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401,
];

export function httpStatusOf(code: number): number {
  return httpStatuses[code] ?? 500;
}

/** An answer without a body has its status in the head. */
export function readStatus(
  head: Pick<ResponseView, 'values'>,
  trailers: AnswerTrailers | null,
): GrpcStatus {
  const valueOf = (name: string): string | undefined =>
    trailers?.values(name)[0] ?? head.values(name)[0];
  const text = valueOf('grpc-status');
  if (text === undefined || !/^\d{1,4}$/.test(text)) {
    return { code: codes.unknown, message: 'the application ended its answer without a status' };
  }
  return { code: Number(text), message: unescape(valueOf('grpc-message') ?? '') };
}

/** Percent-encoded; what is not stays as it is, as gRPC wants it. */
function unescape(message: string): string {
  return message.replaceAll(/(?:%[0-9a-fA-F]{2})+/g, (encoded) =>
    Buffer.from(encoded.replaceAll('%', ''), 'hex').toString(),
  );
}
