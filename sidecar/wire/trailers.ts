// Trailer fields (RFC 9110 6.5), on their way from one protocol to the other.
import { BuiltLines } from './built-lines.ts';
import type { FieldEncoder } from './lines.ts';

/**
 * Trailers that would change framing, routing, identity or authentication after these were decided
 * (RFC 9110 6.5.1): whoever merges trailers into headers would be fooled.
 */
const forbiddenTrailers: ReadonlySet<string> = new Set(
  (
    'age authorization cache-control connection content-encoding content-length content-range ' +
    'content-type cookie expect forwarded host keep-alive location max-forwards ' +
    'proxy-authorization proxy-connection set-cookie te trailer transfer-encoding upgrade ' +
    'x-forwarded-client-cert x-forwarded-for x-forwarded-host x-forwarded-proto x-request-id'
  ).split(' '),
);

/** @param name lower-case */
export function isForbiddenTrailer(name: string): boolean {
  return forbiddenTrailers.has(name);
}

export class Trailers extends BuiltLines {
  /** Room that `writeLines` needs. */
  get linesBytes(): number {
    return this.length;
  }

  /** Adds one. @param name lower-case token @param value a field value; one byte a character */
  add(name: string, value: string): void {
    const text = Buffer.from(name + value, 'latin1');
    this.addLine(text, 0, name.length, text, name.length, text.length);
  }

  /** As HTTP/1.1 writes them. @returns the offset after them */
  writeLines(out: Buffer, offset: number): number {
    return this.copyLines(out, offset, 0, this.length);
  }

  /** Room that `writeHttp2` needs at most. */
  http2BytesMax(): number {
    return this.fieldBytesMax(this.length);
  }

  writeHttp2(encoder: FieldEncoder, out: Buffer, offset: number): number {
    return this.writeFields(encoder, out, offset);
  }

  /** The value of `grpc-status`, '' without one. */
  grpcStatus(): string {
    const at = this.find('grpc-status', 0);
    return at < 0 ? '' : this.valueAt(at);
  }
}
