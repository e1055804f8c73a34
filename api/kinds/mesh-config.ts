// The part of Istio's MeshConfig that changes a verdict. In a folder it is a ConfigMap `istio` or a
// MeshConfig document.
import { z } from 'zod';

import { port } from './mesh-port.ts';
import { telemetryProviders } from './telemetry-providers.ts';
import { localityLbSetting, tcpKeepalive } from './traffic-policy.ts';

/** What both kinds of authorizer have. */
const authorizer = {
  service: z.string(),
  port,
  /** Go duration. Istio's default is 600s. */
  timeout: z.string().optional(),
  failOpen: z.boolean().default(false),
  statusOnError: z.string().optional(),
  includeRequestBodyInCheck: z
    .object({
      /** Longer bodies are refused with 413, or told in part. */
      maxRequestBytes: z.number().int().min(1).max(16_777_216),
      allowPartialMessage: z.boolean().default(false),
      /** For gRPC: as bytes, else as text. */
      packAsBytes: z.boolean().default(false),
    })
    .optional(),
};

const httpAuthorizer = z.object({
  ...authorizer,
  pathPrefix: z.string().optional(),
  includeRequestHeadersInCheck: z.array(z.string()).optional(),
  /** Its older name in Istio. */
  includeHeadersInCheck: z.array(z.string()).optional(),
  includeAdditionalHeadersInCheck: z.record(z.string(), z.string()).optional(),
  headersToUpstreamOnAllow: z.array(z.string()).optional(),
  headersToDownstreamOnDeny: z.array(z.string()).optional(),
  headersToDownstreamOnAllow: z.array(z.string()).optional(),
});

export const extensionProvider = z.object({
  name: z.string(),
  envoyExtAuthzHttp: httpAuthorizer.optional(),
  envoyExtAuthzGrpc: z.object(authorizer).optional(),
  ...telemetryProviders,
});

export const pathNormalization = z.enum([
  'DEFAULT',
  'NONE',
  'BASE',
  'MERGE_SLASHES',
  'DECODE_AND_MERGE_SLASHES',
]);

export const meshConfig = z.object({
  trustDomain: z.string().default('cluster.local'),
  trustDomainAliases: z.array(z.string()).default([]),
  rootNamespace: z.string().default('istio-system'),
  pathNormalization: z.object({ normalization: pathNormalization.default('DEFAULT') }).prefault({}),
  extensionProviders: z.array(extensionProvider).default([]),
  /** Empty switches the access log off; `/dev/stdout` is the usual value. */
  accessLogFile: z.string().default(''),
  /** Left out: what the sidecar itself is set to. */
  accessLogEncoding: z.enum(['TEXT', 'JSON']).optional(),
  /** Operators of Envoy; in JSON, an object of them by key. */
  accessLogFormat: z.string().optional(),
  defaultProviders: z
    .object({
      tracing: z.array(z.string()).default([]),
      metrics: z.array(z.string()).default([]),
      accessLogging: z.array(z.string()).default([]),
    })
    .optional(),
  defaultConfig: z
    .object({ tracing: z.object({ sampling: z.number().min(0).max(100).optional() }).optional() })
    .optional(),
  /** Go duration: how long a client may be silent where no protocol is declared; `0s`: for ever. */
  protocolDetectionTimeout: z.string().optional(),
  /** Defaults of every destination; 10s where nothing is said. */
  connectTimeout: z.string().optional(),
  tcpKeepalive: tcpKeepalive.optional(),
  localityLbSetting: localityLbSetting.optional(),
  h2UpgradePolicy: z.enum(['DO_NOT_UPGRADE', 'UPGRADE']).optional(),
  /** Calls to hosts that no service has. */
  outboundTrafficPolicy: z
    .object({ mode: z.enum(['ALLOW_ANY', 'REGISTRY_ONLY']).default('ALLOW_ANY') })
    .optional(),
  /** Who sees what does not say it: `*` all, `.` its own namespace. */
  defaultServiceExportTo: z.array(z.string()).optional(),
  defaultDestinationRuleExportTo: z.array(z.string()).optional(),
});

export type ExtensionProvider = z.infer<typeof extensionProvider>;
export type PathNormalization = z.infer<typeof pathNormalization>;
export type MeshConfig = z.infer<typeof meshConfig>;
