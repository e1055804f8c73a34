// What an upstream connection and its pool want of each other.
import type { OnReadOpts, Socket } from 'node:net';

import type { ReadTarget } from '../read-target.ts';
import type { UpstreamCall } from '../upstream.ts';

import type { UpstreamConnection } from './client.ts';
import type { Http1PoolLimits } from './limits.ts';

/** Opens a socket to the upstream. Passes `onread` on to `net.connect` or `tls.connect`. */
export type Connect = (onread: OnReadOpts) => Socket;

export interface OpenSocket {
  readonly socket: Socket;
  readonly read: ReadTarget;
}

/** What a connection tells its pool. */
export interface ConnectionOwner {
  readonly limits: Readonly<Http1PoolLimits>;
  readonly connect: Connect;
  /** Free for the next request. */
  released(connection: UpstreamConnection): void;
  /** Gone; `replay` is the call that wants another connection, if any. */
  closed(connection: UpstreamConnection, replay: UpstreamCall | null): void;
}
