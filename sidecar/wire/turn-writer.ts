// Gathers what one turn of the event loop has for a socket, so that it goes out in one write.
import type { Socket } from 'node:net';

import { writeLatin1 } from './bytes.ts';
import { takeSheet, writeSheet, type Sheet } from './slab.ts';

/** Writers with something to flush at the end of this turn. */
let dirty: TurnWriter[] = [];

export class TurnWriter {
  private readonly socket: Socket;
  private sheet: Sheet | null = null;
  private at = 0;
  private scheduled = false;

  constructor(socket: Socket) {
    this.socket = socket;
  }

  /** Room for `size` bytes in one piece, at the offset that `offset` tells. */
  reserve(size: number): Buffer {
    if (this.sheet !== null && this.sheet.buffer.length - this.at < size) this.flush();
    this.sheet ??= takeSheet(size);
    return this.sheet.buffer;
  }

  get offset(): number {
    return this.at;
  }

  /** What was written to the reserved room ends at `to`. */
  wrote(to: number): void {
    this.at = to;
    this.schedule();
  }

  /** @param text one byte a character */
  text(text: string): void {
    const out = this.reserve(text.length);
    this.wrote(writeLatin1(out, text, this.at));
  }

  /** @returns false when the socket wants no more for now */
  copy(source: Buffer, from: number, to: number): boolean {
    const out = this.reserve(to - from);
    this.at += source.copy(out, this.at, from, to);
    this.schedule();
    return !this.socket.writableNeedDrain;
  }

  /** Writes what there is now. @returns false when the socket wants no more for now */
  flush(): boolean {
    const { sheet, at, socket } = this;
    if (sheet === null) return !socket.writableNeedDrain;
    this.sheet = null;
    this.at = 0;
    if (!socket.writable) {
      sheet.done();
      return true;
    }
    return writeSheet(socket, sheet, sheet.buffer.subarray(0, at));
  }

  private schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    if (dirty.push(this) === 1) setImmediate(flushAll);
  }

  private flushScheduled(): void {
    this.scheduled = false;
    this.flush();
  }

  static flushAll(writers: readonly TurnWriter[]): void {
    for (const writer of writers) writer.flushScheduled();
  }
}

function flushAll(): void {
  const writers = dirty;
  dirty = [];
  TurnWriter.flushAll(writers);
}
