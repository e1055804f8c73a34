// Istio's TrafficPolicy, the part of DestinationRule that says how a destination is called. Zero and '' mean "not set".
import { z } from 'zod';

const count = z.number().int().min(0).max(2_147_483_647);
const duration = z.string();
const strings = z.array(z.string());
const portNumber = z.number().int().min(0).max(65_535);

/** Of the protocols' wrapper types: 0 is a value, and absent is none. */
const wrapped = count.optional();

export const portSelector = z.object({ number: portNumber.default(0).describe('Its number.') });

const httpCookie = z.object({
  name: z.string().default('').describe('Name of the cookie.'),
  path: z.string().default('').describe('Its path, where it is made here.'),
  ttl: duration
    .optional()
    .describe('How long it lasts; 0s for a session. Without this it is never made.'),
  attributes: z
    .array(
      z.object({
        name: z.string().default('').describe('Name of the attribute, as SameSite.'),
        value: z.string().default('').describe('Its value.'),
      }),
    )
    .default([])
    .describe('Further attributes of the cookie.'),
});

const consistentHash = z.object({
  httpHeaderName: z.string().optional().describe('The header whose value is hashed.'),
  httpCookie: httpCookie.optional().describe('The cookie whose value is hashed.'),
  useSourceIp: z.boolean().optional().describe("Whether the caller's address is hashed."),
  httpQueryParameterName: z.string().optional().describe('The query parameter that is hashed.'),
  ringHash: z
    .object({ minimumRingSize: count.default(0).describe('At least so many points; 1024 if 0.') })
    .optional()
    .describe('Hash by a ring, which is the default.'),
  maglev: z
    .object({ tableSize: count.optional().describe('A prime; 65537 if it is not there.') })
    .optional()
    .describe('Hash by a Maglev table.'),
  minimumRingSize: count.default(0).describe('Deprecated: write ringHash.minimumRingSize.'),
});

export const localityLbSetting = z.object({
  enabled: z.boolean().optional().describe('false: localities do not matter.'),
  distribute: z
    .array(
      z.object({
        from: z.string().default('').describe('Where callers are: region/zone/subzone or *.'),
        to: z
          .record(z.string(), count)
          .default({})
          .describe('Percent of calls by locality; together 100.'),
      }),
    )
    .default([])
    .describe('Shares of localities.'),
  failover: z
    .array(
      z.object({
        from: z.string().default('').describe('A region.'),
        to: z.string().default('').describe('The region that takes over.'),
      }),
    )
    .default([])
    .describe('Regions that take over from others.'),
  failoverPriority: strings
    .default([])
    .describe('Labels by which endpoints are near, the weightiest first.'),
});

const zoneAwareLbSetting = z.object({
  enabled: z.boolean().optional().describe('false: zones do not matter.'),
  minClusterSize: wrapped.describe(
    'Fewer healthy endpoints in the region: zones do not matter; 6 without.',
  ),
  failover: localityLbSetting.shape.failover,
  failoverPriority: localityLbSetting.shape.failoverPriority,
});

const warmup = z.object({
  duration: duration.optional().describe('How long a new endpoint is spared.'),
  minimumPercent: z.number().min(0).optional().describe('Share it begins with; 10 if not there.'),
  aggression: z.number().min(0).optional().describe('Curve of the growth; 1 is a straight line.'),
});

export const loadBalancer = z.object({
  simple: z
    .enum(['UNSPECIFIED', 'LEAST_CONN', 'RANDOM', 'PASSTHROUGH', 'ROUND_ROBIN', 'LEAST_REQUEST'])
    .optional()
    .describe('The way to choose; LEAST_REQUEST where nothing is said.'),
  consistentHash: consistentHash.optional().describe('Keeps one caller with one endpoint.'),
  localityLbSetting: localityLbSetting.optional().describe('What nearness means here.'),
  zoneAwareLbSetting: zoneAwareLbSetting
    .optional()
    .describe('Keeps calls in their zone as far as all endpoints get as many; regions fail over.'),
  warmup: warmup.optional().describe('Spares new endpoints.'),
  warmupDurationSecs: duration.optional().describe('Deprecated: write warmup.duration.'),
});

export const tcpKeepalive = z.object({
  probes: count.default(0).describe('Unanswered probes until it is dead; of the system if 0.'),
  time: duration.optional().describe('Idle time before the first probe.'),
  interval: duration.optional().describe('Time between probes.'),
});

const tcpSettings = z.object({
  maxConnections: z.number().int().default(0).describe('At most so many; no limit if 0.'),
  connectTimeout: duration.optional().describe("As in 5s; the mesh's, which is 10s, without."),
  tcpKeepalive: tcpKeepalive.optional().describe('SO_KEEPALIVE of connections.'),
  maxConnectionDuration: duration.optional().describe('A connection is closed after that.'),
  idleTimeout: duration
    .optional()
    .describe('A silent connection is closed; 0s: never. 1h without.'),
});

const httpSettings = z.object({
  http1MaxPendingRequests: z.number().int().default(0).describe('At most so many wait.'),
  http2MaxRequests: z.number().int().default(0).describe('At most so many are under way.'),
  maxRequestsPerConnection: z.number().int().default(0).describe('No limit if 0.'),
  maxRetries: z.number().int().default(0).describe('At most so many retries are under way.'),
  idleTimeout: duration.optional().describe('An unused connection is closed. 1h without.'),
  h2UpgradePolicy: z
    .enum(['DEFAULT', 'DO_NOT_UPGRADE', 'UPGRADE'])
    .default('DEFAULT')
    .describe('Whether HTTP/1.1 is carried over HTTP/2.'),
  useClientProtocol: z.boolean().default(false).describe("Keep the client's version of HTTP."),
  maxConcurrentStreams: z.number().int().default(0).describe('Streams of a connection.'),
  http2KeepAlive: z
    .object({
      interval: duration.optional().describe('Silence after which one is sent; 60s without.'),
      timeout: duration
        .optional()
        .describe(
          'Time for an answer, after which the connection is closed; the interval without.',
        ),
    })
    .optional()
    .describe('Pings of connections of HTTP/2.'),
});

export const connectionPool = z.object({
  tcp: tcpSettings.optional().describe('Of all connections.'),
  http: httpSettings.optional().describe('Of HTTP.'),
});

export const outlierDetection = z.object({
  consecutive5xxErrors: wrapped.describe('5xx in a row until it is ejected; 5 without, 0: off.'),
  consecutiveGatewayErrors: wrapped.describe('502, 503 and 504 in a row; off without.'),
  consecutiveErrors: z.number().int().default(0).describe('Deprecated, and ignored.'),
  splitExternalLocalOriginErrors: z
    .boolean()
    .default(false)
    .describe('Count failures to connect apart from what endpoints answer.'),
  consecutiveLocalOriginFailures: wrapped.describe('Failures to connect in a row; 5 without.'),
  interval: duration.optional().describe('Time between looks. 10s without.'),
  baseEjectionTime: duration.optional().describe('Times the number of ejections. 30s without.'),
  maxEjectionPercent: z.number().int().default(0).describe('At most; 10 if 0.'),
  minHealthPercent: z.number().int().default(0).describe('Below it nothing is ejected.'),
  outlierDetectionHttpErrorCodes: z
    .array(z.number().int().min(100).max(599))
    .default([])
    .describe('Statuses that count as errors in place of 5xx.'),
});

export const clientTls = z.object({
  mode: z
    .enum(['DISABLE', 'SIMPLE', 'MUTUAL', 'ISTIO_MUTUAL'])
    .default('DISABLE')
    .describe('TLS to the destination.'),
  clientCertificate: z.string().default('').describe("File with the client's certificate."),
  privateKey: z.string().default('').describe("File with the client's key."),
  caCertificates: z.string().default('').describe('File with the roots; the system has some.'),
  credentialName: z.string().default('').describe('Secret with all three.'),
  subjectAltNames: strings.optional().describe('Names that its certificate may have.'),
  sni: z.string().default('').describe('Server name; the host of the call without.'),
  insecureSkipVerify: z.boolean().optional().describe('Believe every certificate.'),
  caCrl: z.string().default('').describe('File with revoked certificates.'),
});

const perPort = {
  loadBalancer: loadBalancer.optional().describe('How one of the endpoints is chosen.'),
  connectionPool: connectionPool.optional().describe('Limits; what is above them is refused.'),
  outlierDetection: outlierDetection.optional().describe('Leaves out what fails.'),
  tls: clientTls.optional().describe('TLS to the destination.'),
};

export const trafficPolicy = z.object({
  ...perPort,
  portLevelSettings: z
    .array(
      z.object({
        port: portSelector.optional().describe('Port of the service.'),
        ...perPort,
      }),
    )
    .default([])
    .describe('In place of what is said for all ports, and not beside it.'),
  tunnel: z
    .object({
      protocol: z.string().default('').describe('CONNECT or POST, over HTTP/1.1.'),
      targetHost: z.string().default('').describe('Where the tunnel leads.'),
      targetPort: portNumber.default(0).describe('Port there.'),
    })
    .optional()
    .describe(
      'The destination is a forward proxy: connections of bytes are asked of it as tunnels.',
    ),
  proxyProtocol: z
    .object({ version: z.enum(['V1', 'V2']).default('V1').describe('Version.') })
    .optional()
    .describe("PROXY protocol with the caller's address."),
  retryBudget: z
    .object({
      percent: z.number().min(0).max(100).optional().describe('Of active requests. 20 without.'),
      minRetryConcurrency: count.default(0).describe('That many at least; 3 if 0.'),
      budgetInterval: duration.optional().describe('Of time that is looked at.'),
    })
    .optional()
    .describe('Bounds retries by what is under way.'),
});

export type LoadBalancerSpec = z.infer<typeof loadBalancer>;
export type LocalityLbSetting = z.infer<typeof localityLbSetting>;
export type ConnectionPoolSpec = z.infer<typeof connectionPool>;
export type OutlierDetectionSpec = z.infer<typeof outlierDetection>;
export type ClientTlsSpec = z.infer<typeof clientTls>;
export type TrafficPolicySpec = z.infer<typeof trafficPolicy>;
export type PortTrafficPolicySpec = TrafficPolicySpec['portLevelSettings'][number];
