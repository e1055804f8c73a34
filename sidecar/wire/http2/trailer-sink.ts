// Trailers that come as HTTP/2 fields: no pseudo-header fields, bounded, and without what belongs in a head.
import { COLON, latin1At } from '../bytes.ts';
import { isForbiddenTrailer, Trailers } from '../trailers.ts';

import { fieldOverheadBytes, isName, isValue } from './field-lines.ts';
import type { FieldSink } from './hpack/decoder.ts';

export class TrailerSink implements FieldSink {
  readonly trailers = new Trailers();
  malformed = false;
  private bytes = 0;
  private readonly bytesMax: number;

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }

  field(
    names: Buffer,
    nameFrom: number,
    nameTo: number,
    values: Buffer,
    valueFrom: number,
    valueTo: number,
  ): void {
    this.bytes += nameTo - nameFrom + valueTo - valueFrom + fieldOverheadBytes;
    const bad =
      names[nameFrom] === COLON ||
      this.bytes > this.bytesMax ||
      !isName(names, nameFrom, nameTo) ||
      !isValue(values, valueFrom, valueTo);
    if (bad) this.malformed = true;
    if (this.malformed) return;
    const name = latin1At(names, nameFrom, nameTo);
    if (isForbiddenTrailer(name)) return;
    this.trailers.add(name, latin1At(values, valueFrom, valueTo));
  }
}
