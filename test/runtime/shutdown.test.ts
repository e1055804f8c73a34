// Stopping: the order, the deadline, the second signal.
import { EventEmitter } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { silentLog } from '#runtime/log.ts';
import { closeOnSignal, endOnSignal, type Closer } from '#runtime/shutdown.ts';

class StandIn extends EventEmitter {
  readonly exits: number[] = [];
  exit(status: number): void {
    this.exits.push(status);
  }
}

function standIn(closers: readonly Closer[], deadlineMs = 1000) {
  const target = new StandIn();
  const stop = closeOnSignal(closers, { log: silentLog, deadlineMs, process: target });
  return { target, stop };
}

test('closers run one after the other in their order, then the process ends with 0', async () => {
  const steps: string[] = [];
  const { target, stop } = standIn([
    { name: 'slow', close: () => sleep(20).then(() => void steps.push('slow')) },
    { name: 'fast', close: () => void steps.push('fast') },
  ]);
  target.emit('SIGTERM');
  await stop('again');
  expect(steps).toEqual(['slow', 'fast']);
  expect(target.exits).toEqual([0]);
});

test('a closer that fails does not keep the next from closing, and the status tells', async () => {
  const steps: string[] = [];
  const { target, stop } = standIn([
    { name: 'broken', close: () => Promise.reject(new Error('no')) },
    { name: 'next', close: () => void steps.push('next') },
  ]);
  await stop('test');
  expect(steps).toEqual(['next']);
  expect(target.exits).toEqual([1]);
});

test('the deadline ends a process whose closer hangs', async () => {
  const { target, stop } = standIn([{ name: 'hung', close: () => new Promise(() => {}) }], 30);
  await stop('test');
  expect(target.exits).toEqual([1]);
});

test('a second signal ends the process at once', () => {
  const { target } = standIn([{ name: 'hung', close: () => new Promise(() => {}) }], 100);
  target.emit('SIGINT');
  expect(target.exits).toEqual([]);
  target.emit('SIGINT');
  expect(target.exits).toEqual([130]);
});

test('a process that still starts ends at once, and no more so once it is stopped', () => {
  const target = new StandIn();
  const starting = endOnSignal(silentLog, target);
  target.emit('SIGTERM');
  expect(target.exits).toEqual([143]);
  starting.stop();
  target.emit('SIGINT');
  expect(target.exits).toEqual([143]);
  expect(target.listenerCount('SIGTERM')).toBe(0);
});
