// The name server of a pod, on loopback by UDP and TCP: what iptables redirect the application's questions to.
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';

import type { Snapshot } from '#api/snapshot.ts';
import { listen } from '#runtime/listen.ts';
import type { Log } from '#runtime/log.ts';
import type { Address } from '#runtime/setting-types.ts';

import { Nameservers } from './nameservers.ts';
import { readResolvConf, type ResolvConf } from './resolv-conf.ts';
import type { Families } from './hosts.ts';
import { Resolver } from './resolver.ts';
import { readMessages, writeMessage } from './tcp-messages.ts';

export interface DnsServerParts {
  readonly port: number;
  /** Other name servers than those of the system; empty: those. */
  readonly upstream: readonly Address[];
  readonly snapshot: () => Snapshot | null;
  /** The next version listens on the same port. */
  readonly sharedPort: boolean;
  readonly log: Log;
}

export interface DnsServer {
  close(): Promise<void>;
}

const loopbacks = ['127.0.0.1', '::1'] as const;
const upstreamTimeoutMs = 5000;
/** A question is a name of 255 bytes and a few options. */
const questionBytesMax = 4096;
const connectionsMax = 128;
const unreadBytesMax = 262_144;
const idleMs = 10_000;
/** Of one connection: the rest waits in its socket. */
const unansweredMax = 16;

/** Rejects when the port is taken. ::1 is left out where there is none. */
export async function startDnsServer(parts: DnsServerParts): Promise<DnsServer> {
  const { port, upstream, snapshot, sharedPort, log } = parts;
  const { servers, search } = await resolvConf(log);
  const nameservers = upstream.length > 0 ? upstream : servers.map((host) => ({ host, port: 53 }));
  const resolver = new Resolver({
    snapshot,
    search: search[0] ?? '',
    families: familiesHere(),
    nameservers: new Nameservers(nameservers, upstreamTimeoutMs),
  });
  const closers: (() => Promise<void>)[] = [];
  for (const host of loopbacks) {
    if (host === '::1' && !hasLoopback6()) continue;
    closers.push(await listenByUdp(host, port, sharedPort, resolver));
    closers.push(await listenByTcp(host, port, sharedPort, resolver));
  }
  log.info({ port, nameservers }, 'names are answered');
  return { close: async () => void (await Promise.all(closers.map((close) => close()))) };
}

async function listenByUdp(
  address: string,
  port: number,
  reusePort: boolean,
  resolver: Resolver,
): Promise<() => Promise<void>> {
  const type = address === '::1' ? 'udp6' : 'udp4';
  const socket: UdpSocket = createSocket({ type, reusePort, ipv6Only: type === 'udp6' });
  let open = true;
  socket.on('message', (bytes, peer) => {
    const send = (answer: Buffer | null): void => {
      // A peer that is gone is told nothing; it is no fault of ours.
      if (answer !== null && open) socket.send(answer, peer.port, peer.address, () => undefined);
    };
    void resolver.answer(bytes, 'udp').then(send);
  });
  socket.bind({ address, port });
  await once(socket, 'listening');
  // Later ones are of single messages, as of a peer that is gone.
  socket.on('error', () => undefined);
  return async () => {
    open = false;
    socket.close();
  };
}

async function listenByTcp(
  host: string,
  port: number,
  reusePort: boolean,
  resolver: Resolver,
): Promise<() => Promise<void>> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    serve(socket, resolver);
  });
  server.maxConnections = connectionsMax;
  await listen(server, { host, port, reusePort });
  return async () => {
    server.close();
    for (const socket of sockets) socket.destroy();
  };
}

/** Questions of one connection are answered as answers come, each with its number. */
function serve(socket: Socket, resolver: Resolver): void {
  let unanswered = 0;
  socket.setTimeout(idleMs, () => socket.destroy());
  socket.on('error', () => socket.destroy());
  socket.on(
    'data',
    readMessages(questionBytesMax, (bytes) => {
      if (bytes === null) {
        socket.destroy();
        return;
      }
      unanswered += 1;
      if (unanswered >= unansweredMax) socket.pause();
      const send = (answer: Buffer | null): void => {
        unanswered -= 1;
        if (socket.destroyed) return;
        if (answer === null) socket.destroy();
        else socket.write(writeMessage(answer));
        // Whoever asks on and never reads gets no more.
        if (socket.writableLength > unreadBytesMax) socket.destroy();
        if (unanswered < unansweredMax) socket.resume();
      };
      void resolver.answer(bytes, 'tcp').then(send);
    }),
  );
}

/** Without it the mesh's own names are answered, and no others. */
async function resolvConf(log: Log): Promise<ResolvConf> {
  try {
    return await readResolvConf();
  } catch (error) {
    log.warn({ error }, 'no name server is known: only names of the mesh are answered');
    return { servers: [], search: [] };
  }
}

/** By the addresses that others can reach: nothing connects to a family that it has none of. IPv4 where there are none at all. */
function familiesHere(): Families {
  const real = allAddresses().filter(({ internal, scopeid = 0 }) => !internal && scopeid === 0);
  const ipv6 = real.some(({ family }) => family === 'IPv6');
  return { ipv4: !ipv6 || real.some(({ family }) => family === 'IPv4'), ipv6 };
}

function hasLoopback6(): boolean {
  return allAddresses().some(({ address }) => address === '::1');
}

function allAddresses(): NonNullable<ReturnType<typeof networkInterfaces>[string]> {
  return Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
}
