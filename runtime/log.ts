// The log of a process: one JSON line for each event, on standard output.
import { isMainThread } from 'node:worker_threads';

import { pino, stdSerializers } from 'pino';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';
export const logLevels = ['debug', 'info', 'warn', 'error', 'silent'] as const;

/** What an event is about; an `Error` under `error` is written with its message, code and stack. */
type LogFields = Readonly<Record<string, unknown>>;

export interface Log {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
  /** The same log with fields added to every line. */
  child(fields: LogFields): Log;
}

/** The log of a process, whose level may change while it runs; logs made by `child` before that keep theirs. */
export interface ProcessLog extends Log {
  level: string;
}

/** Where lines go: anything with `write`; standard output where it is left out. */
export interface LogDestination {
  write(line: string): void;
}

/** A log whose lines carry `name`. */
export function createLog(name: string, level: LogLevel, destination?: LogDestination): ProcessLog {
  const options = {
    name,
    level,
    base: { name },
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }) },
    serializers: { error: stdSerializers.err },
  };
  const to = destination ?? standardOutput();
  return to === null ? pino(options) : pino(options, to);
}

/**
 * Writes at once what a pipe has room for, so that a process that ends next has said why; what it has no room for waits, and a
 * reader that hangs holds nothing up. pino's own writes are all left for later. Null in a worker, whose lines would go through the main thread.
 */
function standardOutput(): LogDestination | null {
  if (!isMainThread) return null;
  const { stdout } = process;
  // Whoever read it may go away: that ends no sidecar.
  if (!stdout.listeners('error').includes(nothing)) stdout.on('error', nothing);
  return stdout;
}

/** A log that says nothing. */
export const silentLog: Log = {
  debug: nothing,
  info: nothing,
  warn: nothing,
  error: nothing,
  child: () => silentLog,
};

function nothing(): void {}
