// Cuts a stream of bytes into frames (RFC 9113 4.1): DATA passes as it comes, other frames whole.
import { code, flag, frame, frameBytesMax, frameHeadBytes, PREFACE } from './frames.ts';

/** Who gets the frames. Bytes are good only during the call. */
export interface FrameHandler {
  /** A whole frame of any type but DATA. */
  frame(type: number, flags: number, id: number, payload: Buffer, from: number, to: number): void;
  /** DATA begins. @param bytes its payload, padding included: what flow control counts */
  dataBegin(flags: number, id: number, bytes: number): void;
  /** Content of that DATA. @param last of this frame; it comes for empty ones too */
  dataPart(buffer: Buffer, from: number, to: number, last: boolean): void;
  /** The bytes are no frames of ours; nothing is read any more. */
  readError(code: number, message: string): void;
}

const inPreface = 0;
const inHead = 1;
const inPayload = 2;
const atPadLength = 3;
const inData = 4;
const inPadding = 5;

export class FrameReader {
  private readonly handler: FrameHandler;
  private state: number;
  private stopped = false;
  /** A head, or a payload, that came in pieces. */
  private readonly head = Buffer.allocUnsafeSlow(frameHeadBytes);
  private payload: Buffer | null = null;
  /** Bytes of the preface, the head or the payload that are there. */
  private had = 0;
  private length = 0;
  private type = 0;
  private flags = 0;
  private id = 0;
  /** Of the present DATA. */
  private dataLeft = 0;
  private paddingLeft = 0;

  /** @param preface a client's connection preface comes first */
  constructor(handler: FrameHandler, preface: boolean) {
    this.handler = handler;
    this.state = preface ? inPreface : inHead;
  }

  /** A frame has begun and is not complete, or the preface is not. */
  get begun(): boolean {
    return this.state !== inHead || this.had > 0;
  }

  /** Nothing is read any more. */
  stop(): void {
    this.stopped = true;
    this.payload = null;
  }

  push(chunk: Buffer, from: number, end: number): void {
    let i = from;
    while (i < end && !this.stopped) {
      if (this.state === inHead) i = this.readHead(chunk, i, end);
      else if (this.state === inData) i = this.readData(chunk, i, end);
      else if (this.state === inPayload) i = this.readPayload(chunk, i, end);
      else if (this.state === inPadding) i = this.skipPadding(i, end);
      else if (this.state === atPadLength) i = this.readPadLength(chunk, i);
      else i = this.readPreface(chunk, i, end);
    }
  }

  private readPreface(chunk: Buffer, from: number, end: number): number {
    let i = from;
    while (i < end && this.had < PREFACE.length) {
      if (chunk[i++] !== PREFACE[this.had++]) return this.fail(code.protocol, 'no preface', end);
    }
    if (this.had === PREFACE.length) this.next();
    return i;
  }

  private readHead(chunk: Buffer, from: number, end: number): number {
    if (this.had === 0 && end - from >= frameHeadBytes) {
      this.begin(chunk, from, end);
      return from + frameHeadBytes;
    }
    const run = Math.min(frameHeadBytes - this.had, end - from);
    chunk.copy(this.head, this.had, from, from + run);
    this.had += run;
    if (this.had === frameHeadBytes) this.begin(this.head, 0, from + run);
    return from + run;
  }

  private begin(head: Buffer, at: number, end: number): void {
    this.length = (head[at]! << 16) | (head[at + 1]! << 8) | head[at + 2]!;
    this.type = head[at + 3]!;
    this.flags = head[at + 4]!;
    // The reserved bit is ignored (RFC 9113 4.1).
    this.id =
      ((head[at + 5]! & 0x7f) << 24) | (head[at + 6]! << 16) | (head[at + 7]! << 8) | head[at + 8]!;
    this.had = 0;
    if (this.length > frameBytesMax) {
      this.fail(code.frameSize, `a frame of ${this.length} bytes`, end);
      return;
    }
    if (this.type !== frame.data) {
      if (this.length > 0) this.state = inPayload;
      else this.whole(head, 0, 0);
      return;
    }
    this.dataLeft = this.length;
    this.paddingLeft = 0;
    this.state = (this.flags & flag.padded) === 0 ? inData : atPadLength;
    if (this.state === atPadLength && this.length === 0) {
      this.fail(code.frameSize, 'padded DATA without a length of its padding', end);
      return;
    }
    this.handler.dataBegin(this.flags, this.id, this.length);
    if (this.length === 0) this.part(head, 0, 0);
  }

  private readPayload(chunk: Buffer, from: number, end: number): number {
    if (this.payload === null && end - from >= this.length) {
      this.state = inHead;
      this.whole(chunk, from, from + this.length);
      return from + this.length;
    }
    this.payload ??= Buffer.allocUnsafe(this.length);
    const run = Math.min(this.length - this.had, end - from);
    chunk.copy(this.payload, this.had, from, from + run);
    this.had += run;
    if (this.had === this.length) {
      const { payload } = this;
      this.next();
      this.whole(payload, 0, this.length);
    }
    return from + run;
  }

  private whole(buffer: Buffer, from: number, to: number): void {
    this.handler.frame(this.type, this.flags, this.id, buffer, from, to);
  }

  private readPadLength(chunk: Buffer, from: number): number {
    this.paddingLeft = chunk[from]!;
    this.dataLeft -= 1 + this.paddingLeft;
    if (this.dataLeft < 0) return this.fail(code.protocol, 'more padding than frame', from + 1);
    this.state = inData;
    if (this.dataLeft === 0) this.part(chunk, from, from);
    return from + 1;
  }

  private readData(chunk: Buffer, from: number, end: number): number {
    const run = Math.min(this.dataLeft, end - from);
    this.dataLeft -= run;
    this.part(chunk, from, from + run);
    return from + run;
  }

  private part(buffer: Buffer, from: number, to: number): void {
    const last = this.dataLeft === 0;
    if (last) this.state = this.paddingLeft > 0 ? inPadding : inHead;
    this.handler.dataPart(buffer, from, to, last);
  }

  private skipPadding(from: number, end: number): number {
    const run = Math.min(this.paddingLeft, end - from);
    this.paddingLeft -= run;
    if (this.paddingLeft === 0) this.state = inHead;
    return from + run;
  }

  private next(): void {
    this.state = inHead;
    this.had = 0;
    this.payload = null;
  }

  private fail(reason: number, message: string, at: number): number {
    this.stop();
    this.handler.readError(reason, message);
    return at;
  }
}
