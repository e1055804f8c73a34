// VirtualService (networking.istio.io v1, v1beta1, v1alpha3): how calls of some hosts are routed.
import { z } from 'zod';

import type { Resource } from '../resource.ts';
import { destination, httpRule, portNumber } from './virtual-service-http.ts';

const sources = {
  sourceLabels: z.record(z.string(), z.string()).optional().describe('Labels that the caller has.'),
  sourceNamespace: z.string().optional().describe('Namespace of the caller.'),
  gateways: z
    .array(z.string())
    .optional()
    .describe('Where it counts, in place of the gateways of the whole.'),
};

const connection = {
  destinationSubnets: z
    .array(z.string())
    .optional()
    .describe('Addresses that are called, as CIDR blocks.'),
  port: portNumber.optional().describe('The port that is called.'),
};

const destinations = z
  .array(
    z.object({
      destination: destination.optional().describe('Where connections go.'),
      weight: z.number().int().optional().describe('Its share, relative to the sum of all.'),
    }),
  )
  .optional()
  .describe('Where connections go, by weight.');

const tlsRule = z.object({
  match: z
    .array(
      z.object({
        sniHosts: z.array(z.string()).optional().describe('Server names of the TLS handshake.'),
        ...connection,
        ...sources,
      }),
    )
    .optional()
    .describe('One of them must hold.'),
  route: destinations,
});

const tcpRule = z.object({
  match: z
    .array(
      z.object({
        ...connection,
        sourceSubnet: z.string().optional().describe('Not used.'),
        ...sources,
      }),
    )
    .optional()
    .describe('One of them must hold; none: every connection.'),
  route: destinations,
});

export const virtualServiceSpec = z.object({
  hosts: z
    .array(z.string())
    .default([])
    .describe("What is called; a short name means a Service of the rule's own namespace."),
  gateways: z
    .array(z.string())
    .default([])
    .describe('Where it counts: "mesh" (when left out) for sidecars, else names of gateways.'),
  http: z
    .array(httpRule)
    .default([])
    .describe('Rules for requests; the first that matches counts.'),
  tls: z.array(tlsRule).default([]).describe('Rules for TLS of the application.'),
  tcp: z.array(tcpRule).default([]).describe('Rules for other connections.'),
  exportTo: z
    .array(z.string())
    .default([])
    .describe('Namespaces whose calls it routes: "." its own, "*" all.'),
});

/** What rules ask of the caller alone. */
export interface SourceMatch {
  readonly sourceLabels?: Readonly<Record<string, string>>;
  readonly sourceNamespace?: string;
  readonly gateways?: readonly string[];
}
export type VirtualServiceSpec = z.infer<typeof virtualServiceSpec>;
export type VirtualService = Resource<'VirtualService', VirtualServiceSpec>;

/** Other gateways than this are none of sidecars'. */
export const meshGateway = 'mesh';
