// Sidecar (networking.istio.io): what a workload sees of the mesh, and what becomes of calls to the rest.
import { z } from 'zod';

import type { Resource } from '../resource.ts';
import { connectionPool } from './traffic-policy.ts';

const port = z.object({
  number: z.number().int().min(0).max(65_535).default(0).describe('Its number.'),
  protocol: z.string().default('').describe('What it speaks, as HTTP or TCP.'),
  name: z.string().default('').describe('Its name.'),
  targetPort: z.number().int().min(0).max(65_535).default(0).describe('Has no effect.'),
});

const captureMode = z
  .enum(['DEFAULT', 'IPTABLES', 'NONE'])
  .default('DEFAULT')
  .describe('How connections come here.');

const bind = z.string().default('').describe('Address that is listened on.');

const ingress = z.object({
  port: port.optional().describe('Port that is listened on.'),
  bind,
  captureMode,
  defaultEndpoint: z
    .string()
    .default('')
    .describe('Where the application is: 127.0.0.1:PORT, 0.0.0.0:PORT or unix:///path.'),
  tls: z
    .object({
      mode: z
        .enum([
          'PASSTHROUGH',
          'SIMPLE',
          'MUTUAL',
          'AUTO_PASSTHROUGH',
          'ISTIO_MUTUAL',
          'OPTIONAL_MUTUAL',
        ])
        .default('PASSTHROUGH')
        .describe('TLS that this port terminates.'),
      serverCertificate: z.string().default('').describe('File with the certificate.'),
      privateKey: z.string().default('').describe('File with the key.'),
      caCertificates: z.string().default('').describe("File with the clients' roots."),
      caCrl: z.string().default('').describe('File with revoked certificates.'),
      credentialName: z.string().default('').describe('Not supported.'),
      subjectAltNames: z.array(z.string()).default([]).describe('Not supported.'),
      httpsRedirect: z.boolean().default(false).describe('Not supported.'),
      minProtocolVersion: z.string().optional().describe('Lowest version, as TLSV1_2.'),
      maxProtocolVersion: z.string().optional().describe('Highest version.'),
      cipherSuites: z.array(z.string()).default([]).describe('Cipher suites.'),
    })
    .optional()
    .describe('TLS of callers from outside.'),
  connectionPool: connectionPool.optional().describe('Limits of this port.'),
});

const egress = z.object({
  port: port.optional().describe('Only services with this port; all of them without.'),
  bind,
  captureMode,
  hosts: z
    .array(z.string())
    .default([])
    .describe('What is seen, as NAMESPACE/HOST. Namespace: "." its own, "*" any, "~" none.'),
});

export const sidecarSpec = z.object({
  workloadSelector: z
    .object({
      labels: z.record(z.string(), z.string()).default({}).describe('Labels that it has.'),
    })
    .optional()
    .describe('The workloads this is for; without it all of the namespace.'),
  ingress: z.array(ingress).default([]).describe('Ports of its own, in place of those found.'),
  egress: z.array(egress).default([]).describe('What it calls; without it everything.'),
  inboundConnectionPool: connectionPool.optional().describe('Limits of all of its ports.'),
  outboundTrafficPolicy: z
    .object({
      mode: z
        .enum(['REGISTRY_ONLY', 'ALLOW_ANY'])
        .default('REGISTRY_ONLY')
        .describe('Calls to hosts that no service has.'),
      egressProxy: z
        .object({
          host: z.string().default('').describe('What is called instead.'),
          subset: z.string().default('').describe('Its subset.'),
          port: z
            .object({ number: z.number().int().min(0).max(65_535).default(0).describe('Number.') })
            .optional()
            .describe('Its port.'),
        })
        .optional()
        .describe('Takes those calls.'),
    })
    .optional()
    .describe('Calls to hosts that no service has; without it as the mesh says.'),
});

export type SidecarSpec = z.infer<typeof sidecarSpec>;
export type SidecarIngress = SidecarSpec['ingress'][number];
export type SidecarEgress = SidecarSpec['egress'][number];
export type Sidecar = Resource<'Sidecar', SidecarSpec>;
