// A connection to an upstream on its way to be open: connected in time, and for TLS its peer proven.
import type { Socket } from 'node:net';

import type { FailureCode } from '../failures.ts';

import { deadlineIn, unwatch, watch } from './sweep.ts';
import type { Sweepable } from './sweep.ts';

export class Opening implements Sweepable {
  deadlineMs: number;
  private readonly socket: Socket;
  private readonly done: (failure: FailureCode | null) => void;
  private tcpConnected = false;
  private settled = false;
  private readonly onConnect = (): void => {
    this.tcpConnected = true;
    if (!('encrypted' in this.socket)) this.settle(null);
  };
  private readonly onSecure = (): void => this.settle(null);
  private readonly onGone = (): void =>
    this.settle(this.tcpConnected ? 'upstream-tls' : 'upstream-connect');

  /** @param done called once: null when it is open, else why it is not (it is destroyed then) */
  constructor(socket: Socket, timeoutMs: number, done: (failure: FailureCode | null) => void) {
    this.socket = socket;
    this.done = done;
    this.deadlineMs = deadlineIn(timeoutMs);
    socket.on('connect', this.onConnect);
    socket.on('secureConnect', this.onSecure);
    socket.on('error', this.onGone);
    socket.on('close', this.onGone);
    watch(this);
  }

  expire(): void {
    this.settle('connect-timeout');
  }

  private settle(failure: FailureCode | null): void {
    if (this.settled) return;
    this.settled = true;
    unwatch(this);
    const { socket } = this;
    socket.off('connect', this.onConnect);
    socket.off('secureConnect', this.onSecure);
    socket.off('close', this.onGone);
    // An error that comes later is told by 'close', but must have a listener.
    if (failure !== null) socket.destroy();
    this.done(failure);
  }
}
