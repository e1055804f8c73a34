// gRPC for tests of sidecars: a server and callers by grpc-js whose messages are bytes, so that no schema is needed.
import { once } from 'node:events';
import { createServer } from 'node:net';

import * as grpc from '@grpc/grpc-js';

import { grpcEcho, type Method } from './methods.ts';
import { serviceOf, spiffe, strict } from '../rig.ts';
import type { Rig, TestSidecar } from '../rig.ts';

export const target = 'payments.shop.svc.cluster.local:80';

/** A server that echoes; a message that begins with a word of `grpcServer` makes it do otherwise. */
export interface EchoServer {
  readonly port: number;
  /** How many have begun. */
  calls(): number;
  /** Calls whose cancellation the server saw, by method. */
  readonly cancelled: string[];
  /** Resolves when the next call has begun. */
  untilBegun(): Promise<void>;
  /** Resolves at the next cancellation. */
  untilCancelled(): Promise<void>;
  /** Metadata of the last call. */
  metadata(): grpc.Metadata;
  stop(): void;
}

/**
 * `fail`: status 5 with a message, `hang`: no answer, `part`: one message and then status 13.
 * `<n>x<size>` makes a download of n messages.
 * @param refusal what every unary call is answered with instead
 */
export async function grpcServer(rig: Rig, refusal?: grpc.status): Promise<EchoServer> {
  const server = new grpc.Server({ 'grpc.max_receive_message_length': -1 });
  const echo = grpcEcho(refusal);
  let calls = 0;
  echo.events.on('begun', () => (calls += 1));
  server.addService(echo.definition, echo.handlers);
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) => {
    if (error === null) resolve(bound);
    else reject(error);
  });
  const port = await promise;
  const stop = (): void => server.forceShutdown();
  rig.onClose(stop);
  return {
    port,
    calls: () => calls,
    cancelled: echo.cancelled,
    untilBegun: async () => void (await once(echo.events, 'begun')),
    untilCancelled: async () => void (await once(echo.events, 'cancelled')),
    metadata: () => echo.last.metadata,
    stop,
  };
}

export interface Pair {
  readonly client: TestSidecar;
  readonly server: TestSidecar;
}

/** Two sidecars with mutual TLS between them. @param application port of the server */
export async function sidecars(rig: Rig, application: number, policies = ''): Promise<Pair> {
  const server = await rig.sidecar({ application, protocol: 'grpc', policies: strict + policies });
  const identity = spiffe('shop', 'payments');
  const services = [serviceOf('payments', [{ port: server.inboundPort, identity }], 'grpc')];
  return { server, client: await rig.sidecar({ account: 'web', services }) };
}

/** How an application reaches its sidecar. */
export type Way = 'tunnel' | 'direct';

/** @param way by CONNECT, as `http_proxy` makes grpc-js do, or HTTP/2 straight to the sidecar */
export function caller(rig: Rig, outboundPort: number, way: Way, to = target): Caller {
  const proxy = `http://127.0.0.1:${outboundPort}`;
  const client =
    way === 'tunnel'
      ? withEnvironment({ grpc_proxy: proxy, no_grpc_proxy: 'nowhere.invalid' }, () => make(to, {}))
      : make(`127.0.0.1:${outboundPort}`, {
          'grpc.default_authority': to,
          'grpc.enable_http_proxy': 0,
        });
  rig.onClose(() => client.close());
  return new Caller(client);
}

/** What became of a unary or client streaming call. */
export interface Answer {
  readonly code: grpc.status;
  readonly details: string;
  readonly message: Buffer;
  readonly initial: grpc.Metadata;
  readonly trailers: grpc.Metadata;
}

type Unary = grpc.ClientUnaryCall;
type Upload = grpc.ClientWritableStream<Buffer>;

export class Caller {
  readonly client: grpc.Client;

  constructor(client: grpc.Client) {
    this.client = client;
  }

  unary(
    message: Buffer | string,
    options: grpc.CallOptions = {},
    metadata = new grpc.Metadata(),
    start: (call: Unary) => void = () => undefined,
  ): Promise<Answer> {
    return answer((done) => {
      const call = this.client.makeUnaryRequest(
        path('Unary'),
        same,
        same,
        Buffer.from(message),
        metadata,
        options,
        done,
      );
      start(call);
      return call;
    });
  }

  upload(start: (call: Upload) => void, options: grpc.CallOptions = {}): Promise<Answer> {
    return answer((done) => {
      const metadata = new grpc.Metadata();
      const { client } = this;
      const call = client.makeClientStreamRequest<Buffer, Buffer>(
        path('Upload'),
        same,
        same,
        metadata,
        options,
        done,
      );
      start(call);
      return call;
    });
  }

  download(message: string, options: grpc.CallOptions = {}): grpc.ClientReadableStream<Buffer> {
    const { client } = this;
    return client.makeServerStreamRequest(
      path('Download'),
      same,
      same,
      Buffer.from(message),
      options,
    );
  }

  chat(options: grpc.CallOptions = {}): grpc.ClientDuplexStream<Buffer, Buffer> {
    return this.client.makeBidiStreamRequest(path('Chat'), same, same, options);
  }
}

/** The status that a stream ends with; its error is the same thing. */
export function statusOf(
  call: grpc.ClientReadableStream<Buffer> | grpc.ClientDuplexStream<Buffer, Buffer>,
): Promise<grpc.StatusObject> {
  const { promise, resolve } = Promise.withResolvers<grpc.StatusObject>();
  call.on('error', () => undefined);
  call.on('status', resolve);
  return promise;
}

/** A port that refuses connections. */
export async function deadPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}

const same = (bytes: Buffer): Buffer => bytes;
const path = (method: Method): string => `/test.Echo/${method}`;

function make(address: string, options: grpc.ChannelOptions): grpc.Client {
  return new grpc.Client(address, grpc.credentials.createInsecure(), {
    ...options,
    'grpc.use_local_subchannel_pool': 1,
    'grpc.max_receive_message_length': -1,
  });
}

/** grpc-js reads its proxy from the environment when a channel is made, and from nowhere else. */
function withEnvironment<T>(values: Record<string, string>, run: () => T): T {
  const before = Object.keys(values).map((name) => [name, process.env[name]] as const);
  Object.assign(process.env, values);
  try {
    return run();
  } finally {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  }
}

function answer(begin: (done: grpc.requestCallback<Buffer>) => Unary | Upload): Promise<Answer> {
  const { promise, resolve } = Promise.withResolvers<Answer>();
  let initial = new grpc.Metadata();
  let message: Buffer = Buffer.alloc(0);
  const call = begin((_error, value) => {
    message = value ?? message;
  });
  call.on('metadata', (metadata: grpc.Metadata) => (initial = metadata));
  call.on('status', ({ code, details, metadata }: grpc.StatusObject) => {
    // The message is handed over in the same turn, before or after.
    setImmediate(() => resolve({ code, details, message, initial, trailers: metadata }));
  });
  return promise;
}
