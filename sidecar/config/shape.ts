// Whether a parsed JSON value has the shape of a snapshot or delta; zod is too large for the sidecar.
import type { ControlMessage, Snapshot, SnapshotDelta } from '#api/snapshot.ts';

/** Where and how a value differs from the expected shape. */
export class ShapeError extends Error {
  override readonly name = 'ShapeError';
}

/** One line of control. Throws ShapeError. */
export function parseControlMessage(line: string): ControlMessage {
  const message = object(parseJson(line), 'message');
  switch (message['type']) {
    case 'ping':
      return { type: 'ping' };
    case 'snapshot':
      return { type: 'snapshot', snapshot: checkSnapshot(message['snapshot']) };
    case 'delta':
      return { type: 'delta', delta: checkDelta(message['delta']) };
    default:
      throw new ShapeError('message.type is none of snapshot, delta, ping');
  }
}

/** JSON text to a snapshot. Throws ShapeError. */
export function parseSnapshot(text: string): Snapshot {
  return checkSnapshot(parseJson(text));
}

function checkSnapshot(value: unknown): Snapshot {
  const snapshot = object(value, 'snapshot');
  count(snapshot['version'], 'snapshot.version');
  checkMesh(snapshot['mesh'], 'snapshot.mesh');
  checkWorkload(snapshot['workload'], 'snapshot.workload');
  each(snapshot['policies'], 'snapshot.policies', checkPolicy);
  each(snapshot['services'], 'snapshot.services', checkService);
  optional(snapshot, 'snapshot', 'routes', (list, at) => each(list, at, checkRoutes));
  optional(snapshot, 'snapshot', 'destinations', (list, at) => each(list, at, checkDestination));
  optional(snapshot, 'snapshot', 'extensions', (list, at) => each(list, at, checkResource));
  optional(snapshot, 'snapshot', 'scope', checkScope);
  optional(snapshot, 'snapshot', 'telemetry', checkTelemetry);
  optional(snapshot, 'snapshot', 'inbound', (list, at) => each(list, at, checkInbound));
  return value as Snapshot;
}

function checkDelta(value: unknown): SnapshotDelta {
  const delta = object(value, 'delta');
  count(delta['from'], 'delta.from');
  count(delta['to'], 'delta.to');
  if (delta['mesh'] !== undefined) checkMesh(delta['mesh'], 'delta.mesh');
  if (delta['workload'] !== undefined) checkWorkload(delta['workload'], 'delta.workload');
  checkListDelta(delta['policies'], 'delta.policies', checkPolicy);
  checkListDelta(delta['services'], 'delta.services', checkService);
  checkListDelta(delta['routes'], 'delta.routes', checkRoutes);
  checkListDelta(delta['destinations'], 'delta.destinations', checkDestination);
  checkListDelta(delta['extensions'], 'delta.extensions', checkResource);
  if (delta['scope'] !== null) optional(delta, 'delta', 'scope', checkScope);
  if (delta['telemetry'] !== null) optional(delta, 'delta', 'telemetry', checkTelemetry);
  optional(delta, 'delta', 'inbound', (list, at) => each(list, at, checkInbound));
  return value as SnapshotDelta;
}

type Check = (value: unknown, path: string) => void;

function optional(value: Record<string, unknown>, path: string, field: string, check: Check): void {
  if (value[field] !== undefined) check(value[field], `${path}.${field}`);
}

function checkListDelta(value: unknown, path: string, check: Check): void {
  if (value === undefined) return;
  const list = object(value, path);
  each(list['set'], `${path}.set`, check);
  each(list['remove'], `${path}.remove`, text);
  if (list['order'] !== undefined) each(list['order'], `${path}.order`, text);
}

function checkMesh(value: unknown, path: string): void {
  const mesh = object(value, path);
  text(mesh['trustDomain'], `${path}.trustDomain`);
  text(mesh['rootNamespace'], `${path}.rootNamespace`);
  each(mesh['trustDomainAliases'], `${path}.trustDomainAliases`, text);
  each(mesh['extensionProviders'], `${path}.extensionProviders`, object);
  const normalization = object(mesh['pathNormalization'], `${path}.pathNormalization`);
  text(normalization['normalization'], `${path}.pathNormalization.normalization`);
}

function checkWorkload(value: unknown, path: string): void {
  const workload = object(value, path);
  for (const field of ['namespace', 'name', 'serviceAccount']) {
    text(workload[field], `${path}.${field}`);
  }
  object(workload['labels'], `${path}.labels`);
  each(workload['ports'], `${path}.ports`, (item, at) => {
    const port = object(item, at);
    count(port['port'], `${at}.port`);
    text(port['protocol'], `${at}.protocol`);
  });
}

const policyKinds = new Set<unknown>([
  'AuthorizationPolicy',
  'RequestAuthentication',
  'PeerAuthentication',
]);

function checkPolicy(value: unknown, path: string): void {
  const policy = object(value, path);
  if (!policyKinds.has(policy['kind'])) throw new ShapeError(`${path}.kind is no kind of policy`);
  checkResource(value, path);
}

function checkResource(value: unknown, path: string): void {
  const resource = object(value, path);
  text(resource['kind'], `${path}.kind`);
  const metadata = object(resource['metadata'], `${path}.metadata`);
  text(metadata['name'], `${path}.metadata.name`);
  text(metadata['namespace'], `${path}.metadata.namespace`);
  object(resource['spec'], `${path}.spec`);
}

function checkRoutes(value: unknown, path: string): void {
  const group = object(value, path);
  text(group['key'], `${path}.key`);
  each(group['hosts'], `${path}.hosts`, text);
  count(group['port'], `${path}.port`);
  for (const list of ['http', 'tls', 'tcp']) {
    each(group[list], `${path}.${list}`, (item, at) => {
      each(object(item, at)['matches'], `${at}.matches`, object);
    });
  }
}

function checkTelemetry(value: unknown, path: string): void {
  const telemetry = object(value, path);
  for (const side of ['inbound', 'outbound']) {
    const direction = object(telemetry[side], `${path}.${side}`);
    optional(direction, `${path}.${side}`, 'tracing', object);
    for (const list of ['logs', 'metrics']) {
      optional(direction, `${path}.${side}`, list, (items, at) => each(items, at, object));
    }
  }
}

function checkInbound(value: unknown, path: string): void {
  const inbound = object(value, path);
  count(inbound['port'], `${path}.port`);
  each(inbound['sources'], `${path}.sources`, text);
  optional(inbound, path, 'pool', object);
  optional(inbound, path, 'application', (place, at) => {
    const { path: file, host, port } = object(place, at);
    if (file !== undefined) return text(file, `${at}.path`);
    text(host, `${at}.host`);
    count(port, `${at}.port`);
  });
}

function checkDestination(value: unknown, path: string): void {
  const destination = object(value, path);
  text(destination['host'], `${path}.host`);
  object(destination['policy'], `${path}.policy`);
  object(destination['ports'], `${path}.ports`);
  each(destination['subsets'], `${path}.subsets`, (item, at) => {
    const subset = object(item, at);
    text(subset['name'], `${at}.name`);
    object(subset['labels'], `${at}.labels`);
    object(subset['policy'], `${at}.policy`);
  });
}

function checkScope(value: unknown, path: string): void {
  text(object(value, path)['mode'], `${path}.mode`);
}

function checkService(value: unknown, path: string): void {
  const service = object(value, path);
  text(service['name'], `${path}.name`);
  text(service['namespace'], `${path}.namespace`);
  each(service['hosts'], `${path}.hosts`, text);
  each(service['addresses'], `${path}.addresses`, text);
  each(service['ports'], `${path}.ports`, (item, at) => {
    const port = object(item, at);
    count(port['port'], `${at}.port`);
    text(port['protocol'], `${at}.protocol`);
    each(port['endpoints'], `${at}.endpoints`, checkEndpoint);
  });
}

function checkEndpoint(value: unknown, path: string): void {
  const endpoint = object(value, path);
  text(endpoint['address'], `${path}.address`);
  count(endpoint['port'], `${path}.port`);
  // An identity lost on the way must not turn mutual TLS into plaintext.
  if (endpoint['identity'] !== null) text(endpoint['identity'], `${path}.identity`);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new ShapeError('not JSON');
  }
}

function object(value: unknown, path: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new ShapeError(`${path} is not an object`);
  }
  return value as Record<string, unknown>;
}

function each(value: unknown, path: string, check: Check): void {
  if (!Array.isArray(value)) throw new ShapeError(`${path} is not a list`);
  for (const [index, item] of value.entries()) check(item, `${path}[${index}]`);
}

function text(value: unknown, path: string): void {
  if (typeof value !== 'string') throw new ShapeError(`${path} is not a text`);
}

function count(value: unknown, path: string): void {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) {
    throw new ShapeError(`${path} is not a whole number from 0`);
  }
}
