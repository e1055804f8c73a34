// A socket of no network: what is written is kept, and taken only when the test lets it.
import { EventEmitter } from 'node:events';

const highWaterMark = 16_384;

export class FakeSocket extends EventEmitter {
  writable = true;
  writableLength = 0;
  /** Takes nothing. */
  blocked = false;
  destroyed = false;
  private written: Buffer[] = [];
  private waiting: (() => void)[] = [];

  get writableNeedDrain(): boolean {
    return this.writableLength >= highWaterMark;
  }

  get output(): Buffer {
    return Buffer.concat(this.written);
  }

  write(bytes: Buffer, done?: () => void): boolean {
    if (!this.writable) throw new Error('written after the end');
    this.written.push(Buffer.from(bytes));
    if (this.blocked) {
      this.writableLength += bytes.length;
      if (done !== undefined) this.waiting.push(done);
    } else done?.();
    return !this.writableNeedDrain;
  }

  /** Takes all that waited. */
  drain(): void {
    const needed = this.writableNeedDrain;
    this.blocked = false;
    this.writableLength = 0;
    for (const done of this.waiting.splice(0)) done();
    if (needed) this.emit('drain');
  }

  end(): void {
    this.writable = false;
  }

  destroy(): void {
    this.writable = false;
    this.destroyed = true;
  }

  /** Tells the last of it, and lets go of everything. */
  close(): void {
    this.writable = false;
    this.emit('close');
    this.removeAllListeners();
    this.written = [];
    this.waiting = [];
  }
}
