// `selvage install`: prints what an installation is made of, or applies it and waits until it runs.
import { setTimeout as pass } from 'node:timers/promises';

import { writeYaml } from '#api/yaml-write.ts';

import packageJson from '../package.json' with { type: 'json' };
import { readArguments } from './arguments.ts';
import { CallError } from './calls/failure.ts';
import { parseDurationMs } from './cluster/age.ts';
import {
  type Cluster,
  clusterOptions,
  openCluster,
  type OpenCluster,
  runInCluster,
} from './cluster/cluster.ts';
import { applyObject, type Outcome, unreadyText, untilEstablished } from './install/apply.ts';
import type { Manifest } from './install/labels.ts';
import { crdObjects, namespaceObject, systemObjects } from './install/objects.ts';
import { defaultOptions, type InstallOptions, overlays } from './install/options.ts';
import { parts } from './install/parts.ts';
import type { Io } from './io.ts';

const pollEveryMs = 500;

/** Exit status 0: done; 1: not ready in time; 2: wrong usage, something in the way, or the cluster cannot be asked. */
export async function install(
  args: string[],
  io: Io,
  open: OpenCluster = openCluster,
): Promise<number> {
  let read: ReturnType<typeof readOptions>;
  try {
    read = readOptions(args);
  } catch (error) {
    if (!(error instanceof CallError)) throw error;
    io.stderr.write(`selvage install: ${error.message}\n`);
    return 2;
  }
  const { options, values } = read;
  if (values.print === true) {
    io.stdout.write(writeYaml([...crdObjects(), namespaceObject(), ...systemObjects(options)]));
    return 0;
  }
  return runInCluster(
    'install',
    io,
    () => open(values),
    async (cluster) => {
      await applyAll(cluster, options, io);
      return values.wait === true ? untilReady(cluster, read.timeoutMs, io) : 0;
    },
  );
}

async function applyAll({ client }: Cluster, options: InstallOptions, io: Io): Promise<void> {
  const crds = crdObjects();
  const tell = (object: Manifest, outcome: Outcome): void => {
    io.stdout.write(`${object.kind}/${object.metadata.name} ${outcome}\n`);
  };
  for (const crd of crds) tell(crd, await applyObject(client, crd));
  for (const crd of crds) await untilEstablished(client, crd);
  for (const object of [namespaceObject(), ...systemObjects(options)]) {
    tell(object, await applyObject(client, object));
  }
}

async function untilReady({ client }: Cluster, timeoutMs: number, io: Io): Promise<number> {
  const deadline = performance.now() + timeoutMs;
  const names = parts.map(({ name }) => name);
  let told = '';
  for (;;) {
    const text = await unreadyText(client, names);
    if (text === null) {
      io.stdout.write('Selvage runs\n');
      return 0;
    }
    if (performance.now() > deadline) {
      io.stderr.write(
        `selvage install: not ready after ${timeoutMs / 1000} s: ${text}; try selvage doctor\n`,
      );
      return 1;
    }
    if (text !== told) io.stdout.write(`waiting: ${text}\n`);
    told = text;
    await pass(pollEveryMs);
  }
}

// The type is what parseArgs makes of the options.
// oxlint-disable-next-line typescript/explicit-function-return-type
function readOptions(args: string[]) {
  const { values, positionals } = readArguments(args, {
    ...clusterOptions,
    print: { type: 'boolean' },
    wait: { type: 'boolean' },
    overlay: { type: 'string' },
    image: { type: 'string' },
    timeout: { type: 'string' },
  });
  if (positionals.length > 0) throw new CallError(`it takes no "${positionals[0]}"`);
  const overlay = values.overlay === undefined ? {} : overlays[values.overlay];
  if (overlay === undefined) {
    throw new CallError(
      `there is no overlay "${values.overlay}", only ${Object.keys(overlays).join(', ')}`,
    );
  }
  const image = values.image === undefined ? {} : { image: values.image };
  const options = { ...defaultOptions(packageJson.version), ...overlay, ...image };
  return { options, values, timeoutMs: parseDurationMs(values.timeout ?? '120s') ?? 120_000 };
}
