// A server of envoy.service.auth.v3.Authorization for tests, by grpc-js, whose messages are bytes.
import * as grpc from '@grpc/grpc-js';

import type { Rig } from '../rig.ts';

/** Message of the answer, status of a failure, or none at all. */
export type GrpcAnswer = Buffer | grpc.status | 'hang';

const same = (bytes: Buffer): Buffer => bytes;

const definition = {
  check: {
    path: '/envoy.service.auth.v3.Authorization/Check',
    requestStream: false,
    responseStream: false,
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  },
};

/** @returns its port */
export async function grpcAuthorizer(
  rig: Rig,
  answer: (message: Buffer) => GrpcAnswer,
): Promise<number> {
  const server = new grpc.Server();
  server.addService(definition, {
    check: (call: grpc.ServerUnaryCall<Buffer, Buffer>, done: grpc.sendUnaryData<Buffer>) => {
      const given = answer(call.request);
      if (given === 'hang') return;
      if (typeof given === 'number') done({ code: given, details: 'no' });
      else done(null, given);
    },
  });
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) => {
    if (error === null) resolve(bound);
    else reject(error);
  });
  rig.onClose(() => server.forceShutdown());
  return promise;
}
