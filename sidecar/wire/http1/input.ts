// Bytes that a socket has read and nobody has used yet; the socket reads on when there are none.
import type { Socket } from 'node:net';

/** Who uses the bytes. */
export interface Consumer {
  /** Uses some of the input, at least a byte. @returns false: the rest has to wait for `wake` */
  step(): boolean;
  /** Whether there is room for more than what was read. */
  wantsMore(): boolean;
}

export class Input {
  buffer: Buffer | null = null;
  from = 0;
  to = 0;

  private consuming = false;
  private paused = false;
  private readonly socket: Socket;
  private readonly consumer: Consumer;

  constructor(socket: Socket, consumer: Consumer) {
    this.socket = socket;
    this.consumer = consumer;
  }

  push(chunk: Buffer): void {
    if (this.buffer === null) {
      this.buffer = chunk;
      this.from = 0;
      this.to = chunk.length;
    } else {
      this.buffer = Buffer.concat([this.buffer.subarray(this.from, this.to), chunk]);
      this.from = 0;
      this.to = this.buffer.length;
    }
    this.wake();
  }

  /** Lets go of everything. @returns what was unused, or null */
  take(): Buffer | null {
    const rest = this.from < this.to ? this.buffer!.subarray(this.from, this.to) : null;
    this.buffer = null;
    this.from = this.to;
    return rest;
  }

  /** Uses what waits, then reads on exactly when there is nothing left to use and room for more. */
  wake(): void {
    // A step may end an exchange, which wakes: the loop below goes on by itself.
    if (this.consuming) return;
    this.consuming = true;
    while (this.from < this.to && this.consumer.step());
    this.consuming = false;
    if (this.from >= this.to) this.buffer = null;
    const wants = this.buffer === null && this.consumer.wantsMore();
    if (wants !== this.paused) return;
    this.paused = !wants;
    if (wants) this.socket.resume();
    else this.socket.pause();
  }
}
