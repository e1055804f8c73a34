// A worker thread: one data plane on the shared ports, told by the main thread what to be and to enforce.
import { parentPort, workerData, type MessagePort } from 'node:worker_threads';

import { createLog, type LogLevel } from '#runtime/log.ts';
import type { Svid } from '#runtime/tls/svid.ts';

import { clustersOf } from '../admin/views.ts';
import { startDataPlane, type DataPlane } from '../data-plane.ts';
import type { Identity } from '../identity/identity.ts';
import { applyPrepared } from '../configuration.ts';
import { InForce } from '../in-force.ts';
import type { FromWorker, ToWorker, WorkerStart } from './messages.ts';

/** The certificate that the main thread has. */
class ToldIdentity implements Identity {
  readonly #listeners: ((svid: Svid) => void)[] = [];
  #svid: Svid;

  constructor(svid: Svid) {
    this.#svid = svid;
  }

  async start(): Promise<void> {}
  stop(): void {}

  current(): Svid {
    return this.#svid;
  }

  onChange(listener: (svid: Svid) => void): void {
    this.#listeners.push(listener);
  }

  tell(svid: Svid): void {
    this.#svid = svid;
    for (const listener of this.#listeners) listener(svid);
  }
}

const start = workerData as WorkerStart;
const log = createLog('sidecar', start.level as LogLevel);
const inForce = new InForce();
const identity = new ToldIdentity(start.svid);
await applyPrepared(inForce, start.snapshot, start.tables);
const plane = await startDataPlane({
  settings: start.settings,
  inForce,
  identity,
  sharedPorts: true,
  log,
});
for (const port of start.ownPorts) plane.upstreams.ownPorts.add(port);
if (start.draining) plane.drain();
parentPort?.on('message', (message: ToWorker) => void take(message));
tell({ kind: 'ready', ports: plane.ports });

async function take(message: ToWorker): Promise<void> {
  switch (message.kind) {
    case 'svid':
      return identity.tell(message.svid);
    case 'snapshot':
      return applyPrepared(inForce, message.snapshot, message.tables);
    case 'level':
      log.level = message.level;
      return undefined;
    case 'own-port':
      plane.upstreams.ownPorts.add(message.port);
      return undefined;
    case 'drain':
      return plane.drain();
    case 'close':
      return close(plane);
    case 'ask': {
      const answer = await plane.ask(message.question);
      return tell({ kind: 'answer', id: message.id, answer });
    }
    default: {
      const metrics = plane.telemetry.collect();
      const clusters = clustersOf(plane.upstreams);
      const report = { metrics, clusters, connections: plane.connections() };
      return tell({ kind: 'report', id: message.id, report });
    }
  }
}

async function close({ closers }: DataPlane): Promise<void> {
  for (const one of closers) await one.close();
  tell({ kind: 'closed' });
  parentPort?.close();
}

function tell(message: FromWorker): void {
  send(parentPort, [message]);
}

/** A thread's port has no origin, as a window's would. */
function send(port: MessagePort | null, arguments_: [FromWorker]): void {
  port?.postMessage(...arguments_);
}
