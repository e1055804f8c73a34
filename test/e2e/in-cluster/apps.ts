// Applications for tests in a cluster, of the image that `npm run image` makes: it has Node.

const image = 'selvage/shop:dev';

/** Answers each request with 200 and its headers as JSON; keeps answering for a moment after SIGTERM, as services do. */
const echo = echoAt('');

function echoAt(host: string): string {
  return `
const http = require('node:http');
const server = http.createServer((request, response) => {
  const body = JSON.stringify({ pod: process.env.HOSTNAME, url: request.url, headers: request.headers });
  request.resume().on('end', () => response.end(body + '\\n'));
}).listen(8080, ${JSON.stringify(host)});
process.on('SIGTERM', () => setTimeout(() => server.close(() => process.exit(0)), 2000));
`;
}

/** As `echo`, but deaf from the first moment of SIGTERM: its callers have not heard of it yet. */
export const abrupt = echo.replace(
  /process\.on.*\n/,
  "process.on('SIGTERM', () => server.close());",
);

/** Does nothing until it is told to end. */
const idle = "process.on('SIGTERM', () => process.exit(0)); setInterval(() => {}, 1e6);";

export interface AppOptions {
  readonly name: string;
  /** Asks for a sidecar; by an annotation of the Deployment. */
  readonly inject?: boolean;
  readonly replicas?: number;
  readonly script?: string;
  /** Of the pod. */
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly serviceAccount?: string;
  /** The application sees the sidecar's process, and as root may kill it. */
  readonly sharesProcesses?: boolean;
  /** topologySpreadConstraints */
  readonly spread?: readonly object[];
  /** Explicit capture, without any right and on loopback alone: whoever calls must come by the sidecar. */
  readonly explicit?: boolean;
}

/** A Deployment, its Service (port 80, named http) and its ServiceAccount. */
export function service(options: AppOptions): object[] {
  const { name } = options;
  const ports = [{ name: 'http', port: 80, targetPort: 8080 }];
  return [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name } },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name },
      spec: { selector: { app: name }, ports },
    },
    deployment({ serviceAccount: name, ...options }),
  ];
}

/** A Deployment that calls and is not called. */
export function caller(options: AppOptions): object[] {
  const { name } = options;
  return [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name } },
    deployment({ serviceAccount: name, script: idle, ...options }),
  ];
}

function deployment(options: AppOptions): object {
  const { name, inject = true, replicas = 1, explicit = false } = options;
  const capture = explicit ? { 'selvage.dev/capture': 'explicit' } : {};
  const annotations = { ...capture, ...options.annotations };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, annotations: inject ? { inject: 'true' } : {} },
    spec: {
      replicas,
      selector: { matchLabels: { app: name } },
      template: {
        metadata: { labels: { app: name, ...options.labels }, annotations },
        spec: podSpec(options),
      },
    },
  };
}

const seccompProfile = { type: 'RuntimeDefault' };
const noRights = { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } };

/** With one container `app`. */
export function podSpec({
  script,
  serviceAccount = 'default',
  spread = [],
  sharesProcesses = false,
  explicit = false,
}: Partial<AppOptions>): object {
  const answers = script === undefined || script === abrupt;
  return {
    ...(explicit && { securityContext: { runAsNonRoot: true, seccompProfile } }),
    serviceAccountName: serviceAccount,
    terminationGracePeriodSeconds: 20,
    topologySpreadConstraints: spread,
    shareProcessNamespace: sharesProcesses,
    containers: [
      {
        name: 'app',
        image,
        command: ['node', '-e', script ?? (explicit ? echoAt('127.0.0.1') : echo)],
        ...(sharesProcesses && { securityContext: { runAsUser: 0 } }),
        ...(explicit && { securityContext: noRights }),
        ...(answers && {
          ports: [{ name: 'http', containerPort: 8080 }],
          readinessProbe: { httpGet: { path: '/', port: 8080 }, periodSeconds: 1 },
        }),
      },
    ],
  };
}
