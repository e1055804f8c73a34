// Where a redirected connection was to go, as the kernel's connection tracking knows it: the one file that knows node:ffi.
import type { Socket } from 'node:net';

import { plainAddress } from '#runtime/plain-address.ts';

import type {
  OriginalDestination,
  OriginalDestinationOf,
} from '../outbound/original-destination.ts';

/** SOL_IP and SOL_IPV6 of <netinet/in.h>; SO_ORIGINAL_DST and IP6T_SO_ORIGINAL_DST are both 80. */
const levels = { IPv4: 0, IPv6: 41 } as const;
const originalDst = 80;
/** sizeof(struct sockaddr_in6), the longer of both. */
const addressBytesMax = 28;

type GetSockOpt = (
  fd: number,
  level: number,
  name: number,
  value: Buffer,
  length: Buffer,
) => number;

/**
 * Loads what reads it, once for each thread. Costs about 6 µs a connection, and keeps no memory:
 * the buffers are reused. Rejects, with what to do, where this Node or system cannot.
 */
export async function loadOriginalDestination(): Promise<OriginalDestinationOf> {
  if (process.platform !== 'linux') {
    throw new Error('SELVAGE_CAPTURE=transparent needs Linux; use explicit here');
  }
  const getsockopt = await loadGetSockOpt();
  const value = Buffer.alloc(addressBytesMax);
  const length = Buffer.alloc(4);
  return (socket) => {
    const fd = fdOf(socket);
    const local = plainAddress(socket.localAddress ?? '');
    if (fd < 0 || local === '') return null;
    const family = local.includes(':') ? 'IPv6' : 'IPv4';
    length.writeInt32LE(addressBytesMax);
    // ENOENT: the connection is not tracked, so nothing has redirected it.
    if (getsockopt(fd, levels[family], originalDst, value, length) !== 0) return null;
    const original = family === 'IPv4' ? readIpv4(value) : readIpv6(value);
    const came = original.host === local && original.port === socket.localPort;
    return came ? null : original;
  };
}

/** struct sockaddr_in: family, port and address in network order. */
export function readIpv4(bytes: Buffer): OriginalDestination {
  return { host: bytes.subarray(4, 8).join('.'), port: bytes.readUInt16BE(2) };
}

/** struct sockaddr_in6: family, port, flow label, address. */
export function readIpv6(bytes: Buffer): OriginalDestination {
  const groups: string[] = [];
  for (let at = 8; at < 24; at += 2) groups.push(bytes.readUInt16BE(at).toString(16));
  // The canonical form of RFC 5952, which the socket's own address and snapshots have.
  const host = new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1);
  return { host, port: bytes.readUInt16BE(2) };
}

async function loadGetSockOpt(): Promise<GetSockOpt> {
  try {
    const { dlopen } = await import('node:ffi');
    // The process itself: its libc is loaded already, whichever it is.
    const { functions } = dlopen(null, {
      getsockopt: { arguments: ['int32', 'int32', 'int32', 'buffer', 'buffer'], return: 'int32' },
    });
    return functions.getsockopt;
  } catch (error) {
    throw new Error(
      `SELVAGE_CAPTURE=transparent needs node:ffi of Node 26, which ${process.version} does not ` +
        'give (is it built without, or does --permission forbid it?)',
      { cause: error },
    );
  }
}

/** -1: closed. Node has no public way to it. */
function fdOf(socket: Socket): number {
  const handle: unknown = Reflect.get(socket, '_handle');
  if (typeof handle !== 'object' || handle === null) return -1;
  const fd: unknown = Reflect.get(handle, 'fd');
  return typeof fd === 'number' ? fd : -1;
}
