// Follows a chunked body (RFC 9112 7.1) over any split of its bytes: checked strictly, passed on as it is.
import { BACKSLASH, COLON, CR, EQUALS, FIELD, FOLD, HEX, LF, QUOTE, SEMICOLON } from '../bytes.ts';
import { isForbiddenTrailer, Trailers } from '../trailers.ts';

import type { ParseLimits } from './limits.ts';

const atSize = 0;
const inSize = 1;
const inExtension = 2;
const atSizeLineFeed = 3;
const inData = 4;
const atDataReturn = 5;
const atDataLineFeed = 6;
const atTrailer = 7;
const inTrailerName = 8;
const inTrailerValue = 9;
const atTrailerLineFeed = 10;
const atLastLineFeed = 11;

/** Parts of an extension. */
const beforeName = 0;
const inName = 1;
const beforeValue = 2;
const inValue = 3;
const inQuotes = 4;
const inQuotedPair = 5;
const afterQuotes = 6;

/** Optional whitespace around a value (RFC 9110 5.6.3). */
const outerBlanks = /^[\t ]+|[\t ]+$/g;
/** A chunk is under 2^40 bytes, so sums stay exact. */
const sizeDigitsMax = 10;

export class ChunkedBody {
  done = false;
  /** Bytes of data, without framing. */
  dataBytes = 0;

  /** What came after the last chunk; null: nothing. */
  trailers: Trailers | null = null;

  private state = atSize;
  private left = 0;
  private digits = 0;
  private extensionBytes = 0;
  private extensionPart = beforeName;
  private trailerBytes = 0;
  private trailerName = '';
  private trailerValue = '';
  private readonly limits: ParseLimits;

  constructor(limits: ParseLimits) {
    this.limits = limits;
  }

  reset(): void {
    this.done = false;
    this.dataBytes = 0;
    this.trailers = null;
    this.state = atSize;
    this.left = 0;
    this.digits = 0;
    this.extensionBytes = 0;
    this.trailerBytes = 0;
    this.trailerName = '';
    this.trailerValue = '';
  }

  /**
   * @param onData gets the ranges that are data; null: framing and all is wanted
   * @returns where the body ends (then `done`), `to` if it goes on, -1 if it is malformed or over a limit
   */
  scan(
    buffer: Buffer,
    from: number,
    to: number,
    onData: ((buffer: Buffer, from: number, to: number) => void) | null,
  ): number {
    for (let i = from; i < to;) {
      if (this.state === inData) {
        const run = Math.min(this.left, to - i);
        if (onData !== null) onData(buffer, i, i + run);
        this.dataBytes += run;
        this.left -= run;
        i += run;
        if (this.left === 0) this.state = atDataReturn;
        continue;
      }
      const byte = buffer[i++]!;
      if (this.state < inData ? !this.sizeByte(byte) : !this.afterByte(byte)) return -1;
      if (this.done) return i;
    }
    return to;
  }

  private sizeByte(byte: number): boolean {
    switch (this.state) {
      case atSize:
      case inSize: {
        const digit = HEX[byte]!;
        if (digit !== 255) {
          this.left = this.left * 16 + digit;
          this.state = inSize;
          return ++this.digits <= sizeDigitsMax;
        }
        if (this.state === atSize || (byte !== CR && byte !== SEMICOLON)) return false;
        this.state = byte === CR ? atSizeLineFeed : inExtension;
        this.extensionBytes = 0;
        this.extensionPart = beforeName;
        return true;
      }
      case inExtension:
        return (
          this.extensionByte(byte) && ++this.extensionBytes <= this.limits.chunkExtensionBytesMax
        );
      default:
        if (byte !== LF) return false;
        this.state = this.left === 0 ? atTrailer : inData;
        this.digits = 0;
        return true;
    }
  }

  /**
   * Names, and values that are tokens or quoted (RFC 9112 7.1.1), without blanks around them. Extensions go
   * on as they are: in what is no extension a laxer reader may find the end of the line elsewhere.
   */
  private extensionByte(byte: number): boolean {
    switch (this.extensionPart) {
      case inQuotes:
        if (byte === QUOTE) this.extensionPart = afterQuotes;
        else if (byte === BACKSLASH) this.extensionPart = inQuotedPair;
        return FIELD[byte] === 1;
      case inQuotedPair:
        this.extensionPart = inQuotes;
        return FIELD[byte] === 1;
      case beforeValue:
        this.extensionPart = byte === QUOTE ? inQuotes : inValue;
        return byte === QUOTE || FOLD[byte] !== 0;
      case beforeName:
        this.extensionPart = inName;
        return FOLD[byte] !== 0;
      default:
        if (byte === CR) this.state = atSizeLineFeed;
        else if (byte === SEMICOLON) this.extensionPart = beforeName;
        else if (byte === EQUALS && this.extensionPart === inName) this.extensionPart = beforeValue;
        else return FOLD[byte] !== 0 && this.extensionPart !== afterQuotes;
        return true;
    }
  }

  private afterByte(byte: number): boolean {
    switch (this.state) {
      case atDataReturn:
        this.state = atDataLineFeed;
        return byte === CR;
      case atDataLineFeed:
        this.state = atSize;
        return byte === LF;
      case atLastLineFeed:
        this.done = byte === LF;
        return this.done;
      default:
        return ++this.trailerBytes <= this.limits.trailerBytesMax && this.trailerByte(byte);
    }
  }

  private trailerByte(byte: number): boolean {
    switch (this.state) {
      case atTrailer:
        if (byte === CR) this.state = atLastLineFeed;
        else if (FOLD[byte] === 0) return false;
        else {
          this.trailerName = String.fromCharCode(FOLD[byte]!);
          this.state = inTrailerName;
        }
        return true;
      case inTrailerName:
        if (byte === COLON) {
          this.state = inTrailerValue;
          this.trailerValue = '';
          return !isForbiddenTrailer(this.trailerName);
        }
        this.trailerName += String.fromCharCode(FOLD[byte]!);
        return FOLD[byte] !== 0 && this.trailerName.length <= 256;
      case inTrailerValue:
        if (byte === CR) this.state = atTrailerLineFeed;
        else if (FIELD[byte] === 0) return false;
        else this.trailerValue += String.fromCharCode(byte);
        return true;
      default:
        this.trailers ??= new Trailers();
        this.trailers.add(this.trailerName, this.trailerValue.replaceAll(outerBlanks, ''));
        this.state = atTrailer;
        return byte === LF;
    }
  }
}
