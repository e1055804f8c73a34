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
  type ClusterValues,
  openCluster,
  type OpenCluster,
  runInCluster,
} from './cluster/cluster.ts';
import { applyObject, type Outcome, progressOf, untilEstablished } from './install/apply.ts';
import type { Manifest } from './install/labels.ts';
import { crdObjects, namespaceObject, systemObjects } from './install/objects.ts';
import { defaultOptions, type InstallOptions, overlays } from './install/options.ts';
import { parts } from './install/parts.ts';
import type { Io } from './io.ts';

interface InstallCall {
  /** As they were given, for whoever opens the cluster. */
  readonly values: ClusterValues;
  readonly options: InstallOptions;
  readonly print: boolean;
  readonly wait: boolean;
  readonly timeoutMs: number;
}

const pollEveryMs = 500;

/** Exit status 0: done; 1: not ready in time; 2: wrong usage, something in the way, or the cluster cannot be asked. */
export async function install(
  args: string[],
  io: Io,
  open: OpenCluster = openCluster,
): Promise<number> {
  let call: InstallCall;
  try {
    call = readOptions(args);
  } catch (error) {
    if (!(error instanceof CallError)) throw error;
    io.stderr.write(`selvage install: ${error.message}\n`);
    return 2;
  }
  const { options, values } = call;
  if (call.print) {
    io.stdout.write(writeYaml([...crdObjects(), namespaceObject(), ...systemObjects(options)]));
    return 0;
  }
  return runInCluster(
    { name: 'install', io, open },
    () => values,
    async (cluster) => {
      await applyAll(cluster, options, io);
      return call.wait ? untilReady(cluster, call.timeoutMs, io) : 0;
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

/** A table that grows: a line for each part whenever it comes further. */
async function untilReady({ client }: Cluster, timeoutMs: number, io: Io): Promise<number> {
  const deadline = performance.now() + timeoutMs;
  const names = parts.map(({ name }) => name);
  const width = Math.max(...names.map((name) => name.length));
  io.stdout.write(`\n${'PART'.padEnd(width)}  READY\n`);
  const told = new Map<string, string>();
  for (;;) {
    const states = await progressOf(client, names);
    for (const { name, ready } of states) {
      if (told.get(name) !== ready) io.stdout.write(`${name.padEnd(width)}  ${ready}\n`);
      told.set(name, ready);
    }
    const late = states.filter(({ done }) => !done);
    if (late.length === 0) {
      io.stdout.write('Selvage runs\n');
      return 0;
    }
    if (performance.now() > deadline) {
      const text = late.map(({ name, ready }) => `${name} ${ready}`).join(', ');
      io.stderr.write(
        `selvage install: not ready after ${timeoutMs / 1000} s: ${text}; try selvage doctor\n`,
      );
      return 1;
    }
    await pass(pollEveryMs);
  }
}

function readOptions(args: string[]): InstallCall {
  const { values, positionals } = readArguments(args, {
    ...clusterOptions,
    print: { type: 'boolean' },
    wait: { type: 'boolean' },
    overlay: { type: 'string' },
    image: { type: 'string' },
    replicas: { type: 'string' },
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
  const replicas = values.replicas === undefined ? {} : { replicas: readReplicas(values.replicas) };
  const options = { ...defaultOptions(packageJson.version), ...overlay, ...image, ...replicas };
  const { print = false, wait = false, timeout = '120s' } = values;
  return { values, options, print, wait, timeoutMs: readTimeout(timeout) };
}

function readReplicas(text: string): number {
  if (/^[1-9]\d?$/.test(text)) return Number(text);
  throw new CallError(`--replicas is a number from 1 to 99, not "${text}"`);
}

function readTimeout(text: string): number {
  const timeoutMs = parseDurationMs(text);
  if (timeoutMs !== null) return timeoutMs;
  throw new CallError(`--timeout is a time like 90s or 2m, not "${text}"`);
}
