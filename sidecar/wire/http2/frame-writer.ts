// Collects frames and writes them to the socket in one piece at the end of each turn of the event loop.
import type { Socket } from 'node:net';

import { frameHeadBytes } from './frames.ts';

/** Frames of one turn up to this size go out in one write, as two TLS records. */
const sheetBytes = 32_768;
/** Sheets that are kept while nobody needs them: 1 MB. */
const idleSheetsMax = 32;

interface Sheet {
  readonly bytes: Buffer;
  /** The bytes were written, or never will be. */
  readonly done: () => void;
}

const noBytes: Buffer = Buffer.alloc(0);
const idleSheets: Sheet[] = [];

export class FrameWriter {
  /** The socket's buffers are full: only what a peer can be made to wait for no longer is written. */
  full = false;
  /** Where the next byte goes: `bytes[at]`. */
  bytes: Buffer = noBytes;
  at = 0;

  private readonly socket: Socket;
  private sheet: Sheet | null = null;
  private scheduled = false;
  private closed = false;
  private readonly flushLater = (): void => {
    this.scheduled = false;
    this.flush();
  };

  constructor(socket: Socket) {
    this.socket = socket;
  }

  /** Bytes that were written and that the peer did not take yet. */
  get heldBytes(): number {
    return this.at + this.socket.writableLength;
  }

  /** Makes room in one piece at `bytes[at]`. */
  reserve(size: number): void {
    if (this.bytes.length - this.at >= size) return;
    this.flush();
    if (this.bytes.length >= size) return;
    this.giveBack();
    this.sheet = size > sheetBytes ? newSheet(size) : (idleSheets.pop() ?? newSheet(sheetBytes));
    this.bytes = this.sheet.bytes;
  }

  /** Begins a frame of known length; `length` more bytes are to follow. */
  frame(length: number, type: number, flags: number, id: number): void {
    this.reserve(frameHeadBytes + length);
    this.headAt(this.at, length, type, flags, id);
    this.at += frameHeadBytes;
    this.schedule();
  }

  /** Writes the head of a frame whose payload stands at `at + 9` already. */
  headAt(at: number, length: number, type: number, flags: number, id: number): void {
    const { bytes } = this;
    bytes[at] = length >>> 16;
    bytes[at + 1] = length >>> 8;
    bytes[at + 2] = length;
    bytes[at + 3] = type;
    bytes[at + 4] = flags;
    bytes[at + 5] = id >>> 24;
    bytes[at + 6] = id >>> 16;
    bytes[at + 7] = id >>> 8;
    bytes[at + 8] = id;
  }

  u16(value: number): void {
    this.bytes[this.at++] = value >>> 8;
    this.bytes[this.at++] = value;
  }

  u32(value: number): void {
    this.u16(value >>> 16);
    this.u16(value & 0xffff);
  }

  copy(source: Buffer, from: number, to: number): void {
    this.at += source.copy(this.bytes, this.at, from, to);
  }

  /** What was written goes out at the end of this turn. */
  schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    setImmediate(this.flushLater);
  }

  flush(): void {
    const { socket, bytes, at, sheet } = this;
    if (at === 0 || sheet === null) return;
    if (this.closed || !socket.writable) {
      this.giveBack();
      return;
    }
    this.sheet = null;
    this.bytes = noBytes;
    this.at = 0;
    if (!socket.write(bytes.subarray(0, at), sheet.done)) this.full = true;
  }

  /** Nothing is written any more. */
  close(): void {
    this.closed = true;
    this.giveBack();
  }

  private giveBack(): void {
    this.sheet?.done();
    this.sheet = null;
    this.bytes = noBytes;
    this.at = 0;
  }
}

function newSheet(size: number): Sheet {
  const made: Sheet = {
    bytes: Buffer.allocUnsafeSlow(size),
    done: () => {
      if (size === sheetBytes && idleSheets.length < idleSheetsMax) idleSheets.push(made);
    },
  };
  return made;
}
