// The way to a collector that is no service of the mesh: in the clear, or TLS by the public roots and those of NODE_EXTRA_CA_CERTS.
import type { OnReadOpts, Socket } from 'node:net';

import { formatAddress } from '#runtime/plain-address.ts';
import { silentLog } from '#runtime/log.ts';

import { openPlain } from '../../upstream/member.ts';
import { OutsideTls, sniOf } from '../../upstream/tls/outside.ts';
import { connectTls, emptySlot } from '../../upstream/tls-context.ts';
import { http1PoolLimits } from '../../wire/http1/limits.ts';
import { HttpPool } from '../../wire/http-pool.ts';
import { http2Limits } from '../../wire/http2/limits.ts';
import type { OtlpTarget } from './target.ts';

export class DirectWay {
  readonly pool: HttpPool;
  readonly scheme: 'http' | 'https';
  /** Message of the last connection that failed; '' when the last one opened. */
  lastError = '';

  constructor({ host, port, tls }: OtlpTarget) {
    const secure = tls === true ? opener(host, port) : null;
    const open = (protocol: string, onread?: OnReadOpts): Socket =>
      this.watched(secure === null ? openPlain(host, port, onread) : secure(protocol, onread));
    this.scheme = secure === null ? 'http' : 'https';
    this.pool = new HttpPool({
      address: formatAddress(host, port),
      connectHttp1: (onread) => open('http/1.1', onread),
      connectHttp2: (onread) => open('h2', onread),
      http1: http1PoolLimits,
      http2: http2Limits,
    });
  }

  private watched(socket: Socket): Socket {
    socket.on('error', ({ message }) => {
      this.lastError = message;
    });
    socket.once(this.scheme === 'https' ? 'secureConnect' : 'connect', () => {
      this.lastError = '';
    });
    return socket;
  }
}

function opener(host: string, port: number): (protocol: string, onread?: OnReadOpts) => Socket {
  const outside = new OutsideTls({ mode: 'simple' }, silentLog);
  return (protocol, onread) =>
    connectTls(
      {
        host,
        port,
        serverName: sniOf(host),
        protocols: [protocol],
        preface: null,
        context: outside.context(),
        check: (certificate) => outside.check(host, [], certificate),
        verifies: true,
      },
      emptySlot(),
      onread,
    );
}
