import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';

import { expect, test } from 'vitest';

import { PortRules } from '#sidecar/inbound/port-rules.ts';
import { OwnPorts } from '#sidecar/upstream/own-ports.ts';
import { CapturedTargets, idleTargetsMax } from '#sidecar/inbound/targets.ts';

const noRules = new PortRules({ current: () => null, onChange: () => undefined });

function ownOf(...ports: readonly number[]): OwnPorts {
  const own = new OwnPorts();
  for (const port of ports) own.add(port);
  return own;
}

function socketTo(port: number): Socket {
  return Object.assign(new EventEmitter(), { wanted: port }) as unknown as Socket;
}

function originalOf(socket: Socket): { host: string; port: number } | null {
  const port = Reflect.get(socket, 'wanted') as number;
  return port === 0 ? null : { host: '10.0.0.7', port };
}

function targetsOf(ownPorts = ownOf()): CapturedTargets {
  return new CapturedTargets(originalOf, ownPorts, noRules);
}

test('connections to one port share its target, called from where capture lets it pass', () => {
  const targets = targetsOf();
  const { target, refusal } = targets.take(socketTo(80));
  expect(refusal).toBe('');
  expect(target).toMatchObject({ ip: '10.0.0.7', port: 80 });
  expect(target.application).toEqual({
    host: '10.0.0.7',
    port: 80,
    path: '',
    from: '127.0.0.6',
  });
  expect(targets.take(socketTo(80)).target).toBe(target);
  expect(targets.take(socketTo(81)).target).not.toBe(target);
});

test("what was not redirected, or leads to the sidecar's own ports, goes nowhere", () => {
  const targets = targetsOf(ownOf(15_001));
  expect(targets.take(socketTo(0)).refusal).toContain('not captured');
  expect(targets.take(socketTo(15_001)).refusal).toContain("sidecar's own");
  expect(targets.size).toBe(0);
});

test('a scan of every port leaves a bounded number of targets, and those in use stay', () => {
  const targets = targetsOf();
  const kept = targets.take(socketTo(1)).target;
  for (let port = 2; port < 2_000; port += 1) {
    const socket = socketTo(port);
    targets.take(socket);
    socket.emit('close');
  }
  expect(targets.size).toBe(idleTargetsMax + 1);
  expect(targets.take(socketTo(1)).target).toBe(kept);
});

test('a target whose connections come and go is one target', () => {
  const targets = targetsOf();
  const first = socketTo(80);
  const { target } = targets.take(first);
  first.emit('close');
  expect(targets.take(socketTo(80)).target).toBe(target);
  expect(targets.size).toBe(1);
});
