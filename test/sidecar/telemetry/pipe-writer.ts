// A process whose main thread and workers all write lines to standard output, as a sidecar with several workers does.
import { writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { isMainThread, Worker, workerData } from 'node:worker_threads';

import { LogSink, sinkDefaults } from '#sidecar/telemetry/log-sink.ts';

const lines = 4000;
const writers = 3;

function lineOf(writer: number, number: number): string {
  // Of many lengths, so that no two batches are cut at the same place.
  return `<${writer}:${number}:${'x'.repeat((number * 37) % 700)}>\n`;
}

async function writeBatches(writer: number): Promise<void> {
  const options = { ...sinkDefaults, flushAfterMs: 5, heldBytesMax: 16 * 1024 * 1024 };
  const sink = new LogSink({ ...options, path: '/dev/stdout', warn: fail });
  for (let number = 0; number < lines; number++) {
    sink.append(lineOf(writer, number));
    if (number % 500 === 0) await sleep(10);
  }
  await sink.close(20_000);
  if (sink.dropped > 0) fail(`${sink.dropped} lines dropped`);
}

/** As the log of the process itself does. */
async function writeAtOnce(writer: number): Promise<void> {
  for (let number = 0; number < lines; number++) {
    await writeWhole(lineOf(writer, number));
    if (number % 20 === 0) await sleep(1);
  }
}

/** A socket, or a pipe that somebody made non-blocking, may be full. */
async function writeWhole(line: string): Promise<void> {
  for (;;) {
    try {
      writeSync(1, line);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      await sleep(1);
    }
  }
}

function fail(message: string): void {
  process.stderr.write(`${message}\n`);
  process.exitCode = 1;
}

if (isMainThread) {
  for (let writer = 1; writer < writers; writer++) {
    const worker = new Worker(new URL(import.meta.url), { workerData: writer });
    worker.on('error', (error) => fail(String(error)));
  }
  await Promise.all([writeAtOnce(0), writeBatches(writers)]);
} else {
  await writeBatches(workerData as number);
}
