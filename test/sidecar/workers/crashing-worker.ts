// A worker as it is, that can be made to crash: by a port number that no sidecar has.
import { parentPort, workerData } from 'node:worker_threads';

import type { ToWorker, WorkerStart } from '#sidecar/workers/messages.ts';

/** Of two workers the one that started second, since it was told the port. */
const isSecond = (workerData as WorkerStart).settings.inbound[0]?.listen.port !== 0;

await import('#sidecar/workers/worker.ts');

parentPort?.on('message', (message: ToWorker) => {
  if (message.kind === 'own-port' && message.port === 65_536 && isSecond) {
    throw new Error('a crash for the test');
  }
});
