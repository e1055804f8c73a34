// Where log lines go: gathered, written in batches off the event loop, dropped when the sink is slow.
import { close, open, stat, write } from 'node:fs';

import { fitPiece, isPipe, nonBlockingOf, pieceEnd, writePieces } from './pipe-pieces.ts';

export interface SinkOptions {
  /** `/dev/stdout`, `/dev/stderr` or a file that is appended to. */
  path: string;
  /** A batch is written at this size, or after `flushAfterMs`. */
  batchBytes: number;
  flushAfterMs: number;
  /** Held while the sink is slow; lines beyond are dropped and counted. */
  heldBytesMax: number;
  /** How often a file is looked at, to follow a rotation that sent no signal. */
  lookAgainMs: number;
  /** Told once for each failure of the sink, at most every `lookAgainMs`. */
  warn: (message: string) => void;
}

/** Handing a batch to the thread pool costs as much as ten lines: a batch has 150. */
export const sinkDefaults = {
  batchBytes: 64 * 1024,
  flushAfterMs: 100,
  heldBytesMax: 1024 * 1024,
  lookAgainMs: 5000,
} as const;

/** A full pipe is asked again after so long, then after twice as long each time. */
const firstRetryMs = 1;

interface Batch {
  readonly bytes: Buffer;
  readonly lines: number;
}

/** Lines are ASCII, so that a character is a byte. */
export class LogSink {
  /** Lines lost to a slow or broken sink. */
  dropped = 0;
  private readonly options: SinkOptions;
  /**
   * Lines go into bytes at once: as strings they would live on as thousands of small objects until
   * the next batch, and cost the collector more than writing them costs.
   */
  private buffer: Buffer;
  private used = 0;
  private usedLines = 0;
  /** Buffers that were full before they could be written, oldest first. */
  private readonly full: Batch[] = [];
  /** Bytes that are held, in `full` and in `buffer`. */
  private held = 0;
  /** A buffer that was written, for the next lines. */
  private spare: Buffer | null = null;
  /** Null while it is opened, or could not be. */
  private fd: number | null = null;
  private inode = 0;
  /** Others may write to a pipe between our writes. */
  private pipe = false;
  /** Writes to `fd` answer at once. */
  private nonBlocking = false;
  private opening = false;
  private writing = false;
  private timer: NodeJS.Timeout | null = null;
  private lookedAtMs = 0;
  private failedAtMs = -Infinity;
  private idle: (() => void)[] = [];

  constructor(options: SinkOptions) {
    this.options = options;
    this.buffer = Buffer.allocUnsafeSlow(options.batchBytes);
    this.open();
  }

  /** @param whole ASCII, newline included; a pipe gets at most 4,096 bytes of it */
  append(whole: string): void {
    const line = this.pipe ? fitPiece(whole) : whole;
    const { length } = line;
    if (this.held + length > this.options.heldBytesMax) {
      this.dropped++;
      return;
    }
    if (this.used + length > this.buffer.length) this.turnPage(length);
    this.used += this.buffer.write(line, this.used, 'latin1');
    this.usedLines++;
    this.held += length;
    this.flushSoon();
  }

  /** Writes what is gathered, unless a write is under way: its end starts the next. */
  flush(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    if (this.writing || this.held === 0) return;
    if (this.fd === null) {
      this.open();
      return;
    }
    if (this.full.length === 0) this.turnPage(0);
    const batch = this.full.shift();
    if (batch === undefined) return;
    this.held -= batch.bytes.length;
    this.writing = true;
    if (this.nonBlocking) this.writeNow(this.fd, batch, 0, firstRetryMs);
    else this.writeLater(this.fd, batch, 0);
  }

  /** After a rotation (SIGHUP): the old file gets what was written, the new one what follows. */
  reopen(): void {
    if (standardStream(this.options.path) !== null || this.opening) return;
    const old = this.fd;
    this.fd = null;
    // A write under way owns the old descriptor and closes it at its end.
    if (old !== null && !this.writing) close(old, ignore);
    this.open();
  }

  /** Resolves when everything is written or lost. Waits at most `deadlineMs`. */
  async close(deadlineMs: number): Promise<void> {
    this.flush();
    if (this.busy()) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.idle.push(resolve);
      const timer = setTimeout(resolve, deadlineMs);
      await promise;
      clearTimeout(timer);
    }
    if (this.fd !== null && this.isOurs(this.fd)) close(this.fd, ignore);
    this.fd = null;
  }

  /** Puts what was gathered in the queue, and begins a buffer with room for `bytes`. */
  private turnPage(bytes: number): void {
    if (this.used > 0) {
      this.full.push({ bytes: this.buffer.subarray(0, this.used), lines: this.usedLines });
      this.used = 0;
      this.usedLines = 0;
      this.buffer = this.spare ?? Buffer.allocUnsafeSlow(this.options.batchBytes);
      this.spare = null;
    }
    if (bytes > this.buffer.length) this.buffer = Buffer.allocUnsafeSlow(bytes);
  }

  private flushSoon(): void {
    if (this.held >= this.options.batchBytes) this.flush();
    else this.timer ??= setTimeout(this.onTimer, this.options.flushAfterMs).unref();
  }

  private readonly onTimer = (): void => {
    this.timer = null;
    this.flush();
  };

  private busy(): boolean {
    return this.writing || this.opening || (this.held > 0 && this.fd !== null);
  }

  private open(): void {
    const standard = standardStream(this.options.path);
    if (standard !== null) {
      this.pipe = isPipe(standard);
      const own = this.pipe ? nonBlockingOf(standard) : null;
      this.nonBlocking = own !== null;
      this.fd = own ?? standard;
      this.flush();
      return;
    }
    if (this.opening) return;
    if (performance.now() - this.failedAtMs < this.options.flushAfterMs) {
      this.timer ??= setTimeout(this.onTimer, this.options.flushAfterMs).unref();
      return;
    }
    this.opening = true;
    open(this.options.path, 'a', 0o640, (error, fd) => {
      this.opening = false;
      if (error !== null) {
        this.fail(`cannot open access log ${this.options.path}: ${error.message}`);
        return;
      }
      this.fd = fd;
      this.pipe = isPipe(fd);
      this.lookedAtMs = performance.now();
      stat(this.options.path, (_, stats) => {
        this.inode = stats?.ino ?? 0;
      });
      this.flush();
      this.settle();
    });
  }

  /** By the thread pool: a disk may be slow. A pipe gets no more at once than it takes whole. */
  private writeLater(fd: number, batch: Batch, from: number): void {
    const { bytes } = batch;
    const to = this.pipe ? pieceEnd(bytes, from) : bytes.length;
    write(fd, bytes, from, to - from, null, (error, written) => {
      if (error?.code === 'EAGAIN') {
        setTimeout(() => this.writeLater(fd, batch, from), this.options.flushAfterMs).unref();
      } else if (error === null && from + written < bytes.length) {
        this.writeLater(fd, batch, from + written);
      } else {
        this.written(fd, batch, error);
      }
    });
  }

  /** A pipe that is full is asked again soon, and ever later. */
  private writeNow(fd: number, batch: Batch, from: number, retryMs: number): void {
    const { bytes } = batch;
    let at = from;
    try {
      at = writePieces(fd, bytes, from);
    } catch (error) {
      this.written(fd, batch, error as Error);
      return;
    }
    if (at === bytes.length) {
      this.written(fd, batch, null);
      return;
    }
    const next = at > from ? firstRetryMs : Math.min(2 * retryMs, this.options.flushAfterMs);
    setTimeout(() => this.writeNow(fd, batch, at, next), retryMs).unref();
  }

  private written(fd: number, { bytes, lines }: Batch, error: Error | null): void {
    this.writing = false;
    this.spare = Buffer.from(bytes.buffer);
    if (fd !== this.fd && this.isOurs(fd)) close(fd, ignore);
    if (error !== null) {
      this.dropped += lines;
      this.fail(`cannot write access log ${this.options.path}: ${error.message}`);
      return;
    }
    this.look();
    // The timer of what came meanwhile may have fired already, to no effect.
    if (this.held > 0) this.flushSoon();
    this.settle();
  }

  /** Standard streams are not ours to close. */
  private isOurs(fd: number): boolean {
    return fd !== standardStream(this.options.path);
  }

  /** Opens the path anew when it names another file by now. */
  private look(): void {
    const now = performance.now();
    if (now - this.lookedAtMs < this.options.lookAgainMs) return;
    this.lookedAtMs = now;
    if (standardStream(this.options.path) !== null) return;
    stat(this.options.path, (error, stats) => {
      if (error !== null || stats.ino !== this.inode) this.reopen();
    });
  }

  private fail(message: string): void {
    const now = performance.now();
    if (now - this.failedAtMs > this.options.lookAgainMs) this.options.warn(message);
    this.failedAtMs = now;
    this.settle();
    if (this.held > 0) {
      this.timer ??= setTimeout(this.onTimer, this.options.lookAgainMs).unref();
    }
  }

  private settle(): void {
    if (this.held > 0 && this.idle.length > 0) this.flush();
    if (this.busy()) return;
    for (const resolve of this.idle.splice(0)) resolve();
  }
}

function standardStream(path: string): number | null {
  if (path === '/dev/stdout') return 1;
  return path === '/dev/stderr' ? 2 : null;
}

function ignore(): void {
  // A descriptor that cannot be closed leaves nothing to do.
}
