// What CEL may name in a sidecar: Envoy's attributes, as far as a sidecar has them, and CEL's standard functions.

export type CelType =
  | 'int'
  | 'uint'
  | 'double'
  | 'string'
  | 'bytes'
  | 'bool'
  | 'null'
  | 'list'
  | 'map'
  | 'timestamp'
  | 'duration'
  | 'type'
  /** Known only when it is there. */
  | 'dyn';

export interface CelAttributes {
  readonly [name: string]: CelType | CelAttributes;
}

/** Of the workload at one end, as Istio's peer metadata has it. */
const peer = {
  name: 'string',
  namespace: 'string',
  workload: 'string',
  cluster: 'string',
  app: 'string',
  version: 'string',
  service: 'string',
  revision: 'string',
} as const satisfies CelAttributes;

/** Of a connection with mutual TLS. */
const certificates = {
  subject_peer_certificate: 'string',
  uri_san_local_certificate: 'string',
  uri_san_peer_certificate: 'string',
} as const satisfies CelAttributes;

/** Envoy's documentation, "Attributes"; `filter_state` is Istio's. */
export const celAttributes = {
  request: {
    path: 'string',
    url_path: 'string',
    host: 'string',
    scheme: 'string',
    method: 'string',
    headers: 'map',
    headers_bytes: 'int',
    referer: 'string',
    useragent: 'string',
    time: 'timestamp',
    id: 'string',
    protocol: 'string',
    query: 'string',
    duration: 'duration',
    size: 'int',
    total_size: 'int',
  },
  response: {
    code: 'int',
    code_details: 'string',
    flags: 'int',
    grpc_status: 'int',
    headers: 'map',
    headers_bytes: 'int',
    trailers: 'map',
    size: 'int',
    total_size: 'int',
    backend_latency: 'duration',
  },
  source: { address: 'string', port: 'int' },
  destination: { address: 'string', port: 'int' },
  connection: {
    id: 'uint',
    mtls: 'bool',
    requested_server_name: 'string',
    ...certificates,
    sha256_peer_certificate_digest: 'string',
    termination_details: 'string',
    transport_failure_reason: 'string',
  },
  upstream: {
    address: 'string',
    port: 'int',
    uri_san_peer_certificate: 'string',
    transport_failure_reason: 'string',
    request_attempt_count: 'uint',
  },
  xds: {
    cluster_name: 'string',
    route_name: 'string',
    virtual_host_name: 'string',
    listener_direction: 'int',
  },
  filter_state: { downstream_peer: peer, upstream_peer: peer },
} as const satisfies CelAttributes;

export interface CelFunction {
  /** Of the target, where it is a method, and of the arguments. */
  readonly args: readonly (readonly CelType[])[];
  readonly method: boolean;
  readonly result: CelType;
}

const text: readonly CelType[] = ['string'];
const any: readonly CelType[] = ['dyn'];
const time: readonly CelType[] = ['timestamp'];
const numbers: readonly CelType[] = ['int', 'uint', 'double', 'string'];

const method = (args: CelFunction['args'], result: CelType): CelFunction => ({
  args,
  method: true,
  result,
});
const plain = (args: CelFunction['args'], result: CelType): CelFunction => ({
  args,
  method: false,
  result,
});
const whole: readonly CelType[] = ['string', 'bytes', 'list', 'map'];
/** Each may be given a time zone: `getHours('UTC')`. */
const fields = ['FullYear', 'Month', 'DayOfMonth', 'Date', 'DayOfWeek', 'DayOfYear'];
const clocks = ['Hours', 'Minutes', 'Seconds', 'Milliseconds'];
const clocked: readonly CelType[] = ['timestamp', 'duration'];

/** By name; several: by the number of arguments. */
export const celFunctions: Readonly<Record<string, readonly CelFunction[]>> = {
  size: [plain([whole], 'int'), method([whole], 'int')],
  startsWith: [method([text, text], 'bool')],
  endsWith: [method([text, text], 'bool')],
  contains: [method([text, text], 'bool')],
  matches: [method([text, text], 'bool'), plain([text, text], 'bool')],
  int: [plain([[...numbers, 'timestamp', 'duration']], 'int')],
  uint: [plain([numbers], 'uint')],
  double: [plain([numbers], 'double')],
  string: [plain([[...numbers, 'bool', 'bytes', 'timestamp', 'duration']], 'string')],
  bool: [plain([['bool', 'string']], 'bool')],
  bytes: [plain([['bytes', 'string']], 'bytes')],
  duration: [plain([['string', 'duration']], 'duration')],
  timestamp: [plain([['string', 'int', 'timestamp']], 'timestamp')],
  type: [plain([any], 'type')],
  dyn: [plain([any], 'dyn')],
  ...Object.fromEntries(
    fields.map((name) => [`get${name}`, [method([time], 'int'), method([time, text], 'int')]]),
  ),
  ...Object.fromEntries(
    clocks.map((name) => [`get${name}`, [method([clocked], 'int'), method([time, text], 'int')]]),
  ),
};

/** `type(x) == int`. */
export const celTypeNames: Readonly<Record<string, string>> = {
  int: 'int',
  uint: 'uint',
  double: 'double',
  bool: 'bool',
  string: 'string',
  bytes: 'bytes',
  list: 'list',
  map: 'map',
  null_type: 'null_type',
  type: 'type',
};
