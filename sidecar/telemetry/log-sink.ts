// Where log lines go: gathered, written in batches off the event loop, dropped when the sink is slow.
import { close, open, stat, write } from 'node:fs';

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

/** Lines are ASCII, so that a character is a byte. */
export class LogSink {
  /** Lines lost to a slow or broken sink. */
  dropped = 0;
  private readonly options: SinkOptions;
  private pending = '';
  private pendingLines = 0;
  /** Null while it is opened, or could not be. */
  private fd: number | null = null;
  private inode = 0;
  private opening = false;
  private writing = false;
  private timer: NodeJS.Timeout | null = null;
  private lookedAtMs = 0;
  private failedAtMs = -Infinity;
  private idle: (() => void)[] = [];

  constructor(options: SinkOptions) {
    this.options = options;
    this.open();
  }

  /** @param line ASCII, newline included */
  append(line: string): void {
    if (this.pending.length + line.length > this.options.heldBytesMax) {
      this.dropped++;
      return;
    }
    this.pending += line;
    this.pendingLines++;
    this.flushSoon();
  }

  /** Writes what is gathered, unless a write is under way: its end starts the next. */
  flush(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    if (this.writing || this.pending === '') return;
    if (this.fd === null) {
      this.open();
      return;
    }
    const batch = Buffer.from(this.pending, 'latin1');
    const lines = this.pendingLines;
    this.pending = '';
    this.pendingLines = 0;
    this.writing = true;
    this.writeAll(this.fd, batch, 0, lines);
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
    if (this.fd !== null && standardStream(this.options.path) === null) close(this.fd, ignore);
    this.fd = null;
  }

  private flushSoon(): void {
    if (this.pending.length >= this.options.batchBytes) this.flush();
    else this.timer ??= setTimeout(this.onTimer, this.options.flushAfterMs).unref();
  }

  private readonly onTimer = (): void => {
    this.timer = null;
    this.flush();
  };

  private busy(): boolean {
    return this.writing || this.opening || (this.pending !== '' && this.fd !== null);
  }

  private open(): void {
    const standard = standardStream(this.options.path);
    if (standard !== null) {
      this.fd = standard;
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
      this.lookedAtMs = performance.now();
      stat(this.options.path, (_, stats) => {
        this.inode = stats?.ino ?? 0;
      });
      this.flush();
      this.settle();
    });
  }

  private writeAll(fd: number, batch: Buffer, from: number, lines: number): void {
    write(fd, batch, from, batch.length - from, null, (error, written) => {
      if (error?.code === 'EAGAIN') {
        setTimeout(() => this.writeAll(fd, batch, from, lines), this.options.flushAfterMs).unref();
        return;
      }
      if (error === null && from + written < batch.length) {
        this.writeAll(fd, batch, from + written, lines);
        return;
      }
      this.writing = false;
      if (fd !== this.fd && standardStream(this.options.path) === null) close(fd, ignore);
      if (error !== null) {
        this.dropped += lines;
        this.fail(`cannot write access log ${this.options.path}: ${error.message}`);
        return;
      }
      this.look();
      // The timer of what came meanwhile may have fired already, to no effect.
      if (this.pending !== '') this.flushSoon();
      this.settle();
    });
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
    if (this.pending !== '') {
      this.timer ??= setTimeout(this.onTimer, this.options.lookAgainMs).unref();
    }
  }

  private settle(): void {
    if (this.pending !== '' && this.idle.length > 0) this.flush();
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
