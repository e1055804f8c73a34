// What the gRPC server of tests does: one method of each kind, all of bytes.
import { EventEmitter } from 'node:events';

import * as grpc from '@grpc/grpc-js';

export type Method = 'Unary' | 'Upload' | 'Download' | 'Chat';

export interface Echo {
  readonly definition: grpc.ServiceDefinition;
  readonly handlers: grpc.UntypedServiceImplementation;
  readonly events: EventEmitter;
  readonly cancelled: string[];
  readonly last: { metadata: grpc.Metadata };
}

type UnaryCall = grpc.ServerUnaryCall<Buffer, Buffer>;
type UploadCall = grpc.ServerReadableStream<Buffer, Buffer>;
type DownloadCall = grpc.ServerWritableStream<Buffer, Buffer>;
type ChatCall = grpc.ServerDuplexStream<Buffer, Buffer>;
type AnyCall = EventEmitter & { readonly metadata: grpc.Metadata };

/** Every byte a `-bin` value can have. */
export const everyByte: Buffer = Buffer.from(Array.from({ length: 256 }, (_, i) => i));

export const failureMessage = 'no such thing: "ä%\n"';

const same = (bytes: Buffer): Buffer => bytes;

/** @param refusal what every unary call is answered with */
export function grpcEcho(refusal: grpc.status = grpc.status.OK): Echo {
  const events = new EventEmitter();
  const cancelled: string[] = [];
  const last = { metadata: new grpc.Metadata() };
  const begin = (method: Method, call: AnyCall): void => {
    last.metadata = call.metadata;
    call.on('cancelled', () => {
      cancelled.push(method);
      events.emit('cancelled');
    });
    events.emit('begun');
  };
  const handlers: grpc.UntypedServiceImplementation = {
    Unary: (call: UnaryCall, done: grpc.sendUnaryData<Buffer>) => {
      begin('Unary', call);
      if (refusal === grpc.status.OK) unary(call, done);
      else done({ code: refusal, details: 'not now' });
    },
    Upload: (call: UploadCall, done: grpc.sendUnaryData<Buffer>) => {
      begin('Upload', call);
      upload(call, done);
    },
    Download: (call: DownloadCall) => {
      begin('Download', call);
      void download(call);
    },
    Chat: (call: ChatCall) => {
      begin('Chat', call);
      call.on('error', () => undefined);
      call.on('data', (bytes: Buffer) => call.write(bytes));
      call.on('end', () => call.end(trailers()));
    },
  };
  const definition = {
    Unary: method('Unary', false, false),
    Upload: method('Upload', true, false),
    Download: method('Download', false, true),
    Chat: method('Chat', true, true),
  };
  return { definition, handlers, events, cancelled, last };
}

function unary(call: UnaryCall, done: grpc.sendUnaryData<Buffer>): void {
  const text = call.request.subarray(0, 16).toString('latin1');
  if (text === 'hang') return;
  if (text === 'fail') {
    done({ code: grpc.status.NOT_FOUND, details: failureMessage, metadata: trailers() });
    return;
  }
  const initial = new grpc.Metadata();
  initial.set('x-initial', 'first');
  initial.set('x-initial-bin', everyByte);
  call.sendMetadata(initial);
  done(null, call.request, trailers());
}

function upload(call: UploadCall, done: grpc.sendUnaryData<Buffer>): void {
  let bytes = 0;
  let messages = 0;
  call.on('error', () => undefined);
  call.on('data', (part: Buffer) => {
    bytes += part.length;
    messages += 1;
  });
  call.on('end', () => done(null, Buffer.from(`${messages} ${bytes}`), trailers()));
}

async function download(call: DownloadCall): Promise<void> {
  call.on('error', () => undefined);
  const text = call.request.toString();
  if (text === 'part') {
    call.write(Buffer.from('one'));
    call.emit('error', { code: grpc.status.INTERNAL, details: 'and no more' });
    return;
  }
  const [count = 0, size = 0] = text.split('x').map(Number);
  const message = Buffer.alloc(size, 'd');
  for (let i = 0; i < count && !call.cancelled; i += 1) {
    if (!call.write(message)) {
      await new Promise<void>((resume) => {
        call.once('drain', resume);
        call.once('cancelled', resume);
      });
    }
  }
  // A stream without messages is one that goes on.
  if (count > 0) call.end(trailers());
}

function trailers(): grpc.Metadata {
  const metadata = new grpc.Metadata();
  metadata.set('x-trailer', 'last');
  metadata.set('x-trailer-bin', everyByte);
  return metadata;
}

function method(
  name: Method,
  requestStream: boolean,
  responseStream: boolean,
): grpc.MethodDefinition<Buffer, Buffer> {
  return {
    path: `/test.Echo/${name}`,
    requestStream,
    responseStream,
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  };
}
