// Collects frames and writes them to the socket in one piece at the end of each turn of the event loop.
import type { Socket } from 'node:net';

import { takeSheet, writeSheet, type Sheet } from '../slab.ts';

import { frameHeadBytes } from './frames.ts';

/** What a connection may hold before its streams have to wait: many of them share it. */
const fullBytes = 512 * 1024;

const noBytes: Buffer = Buffer.alloc(0);

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
    this.sheet = takeSheet(size);
    this.bytes = this.sheet.buffer;
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
    // 'drain' comes once all of it is out, since that is more than the socket itself wants to hold.
    writeSheet(socket, sheet, bytes.subarray(0, at));
    if (socket.writableLength > fullBytes && socket.writableNeedDrain) this.full = true;
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
