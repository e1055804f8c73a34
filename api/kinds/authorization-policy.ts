// AuthorizationPolicy (security.istio.io/v1, v1beta1): who may call what.
import { z } from 'zod';

import type { Resource } from '../resource.ts';
import { targetRef, workloadSelector } from './selector.ts';

const values = (meaning: string) => z.array(z.string()).optional().describe(meaning);

export const source = z.object({
  principals: values(
    'Identities of peers, as cluster.local/ns/billing/sa/billing-sa. Needs mutual TLS.',
  ),
  notPrincipals: values('Identities of peers that do not match.'),
  requestPrincipals: values(
    'Issuer and subject of a verified token, as https://issuer.example/subject.',
  ),
  notRequestPrincipals: values('Issuers and subjects of tokens that do not match.'),
  namespaces: values('Namespaces of peers. Needs mutual TLS.'),
  notNamespaces: values('Namespaces of peers that do not match.'),
  serviceAccounts: values(
    'Service accounts of peers, as namespace/name or name. Needs mutual TLS.',
  ),
  notServiceAccounts: values('Service accounts of peers that do not match.'),
  trustDomains: values('Trust domains of peers. Needs mutual TLS.'),
  notTrustDomains: values('Trust domains of peers that do not match.'),
  ipBlocks: values('Addresses or CIDRs that the packets come from.'),
  notIpBlocks: values('Addresses or CIDRs of packets that do not match.'),
  remoteIpBlocks: values('Addresses or CIDRs of the client, as trusted proxies report it.'),
  notRemoteIpBlocks: values('Addresses or CIDRs of clients that do not match.'),
});

export const operation = z.object({
  hosts: values('Host of the request, without regard to case.'),
  notHosts: values('Hosts that do not match.'),
  ports: values('Ports of the workload, as strings.'),
  notPorts: values('Ports that do not match.'),
  methods: values('Methods of HTTP; for gRPC POST.'),
  notMethods: values('Methods that do not match.'),
  paths: values('Paths without their query, normalised; {*} and {**} stand for segments.'),
  notPaths: values('Paths that do not match.'),
});

export const condition = z.object({
  key: z.string().describe('An attribute of the call, as request.headers[x-token] or source.ip.'),
  values: values('Values of the attribute, one of which must match.'),
  notValues: values('Values of the attribute that do not match.'),
});

export const rule = z.object({
  from: z
    .array(z.object({ source: source.optional().describe('Fields of it must all match.') }))
    .optional()
    .describe('Who calls; one of the sources must match. Anybody, when left out.'),
  to: z
    .array(z.object({ operation: operation.optional().describe('Fields of it must all match.') }))
    .optional()
    .describe('What is called; one of the operations must match. Anything, when left out.'),
  when: z.array(condition).optional().describe('Further conditions, which must all match.'),
});

export const authorizationPolicySpec = z.object({
  selector: workloadSelector.optional(),
  targetRef: targetRef.optional(),
  targetRefs: z.array(targetRef).optional().describe('Resources this is attached to.'),
  action: z
    .enum(['ALLOW', 'DENY', 'AUDIT', 'CUSTOM'])
    .default('ALLOW')
    .describe('What becomes of calls that a rule matches. CUSTOM and DENY are asked before ALLOW.'),
  provider: z
    .object({ name: z.string().describe('Name of an extension provider of the MeshConfig.') })
    .optional()
    .describe('The external authorizer that CUSTOM asks.'),
  rules: z
    .array(rule)
    .optional()
    .describe('One of the rules must match. No rules match nothing; an empty rule matches all.'),
});

export type Source = z.infer<typeof source>;
export type Operation = z.infer<typeof operation>;
export type Condition = z.infer<typeof condition>;
export type Rule = z.infer<typeof rule>;
export type AuthorizationPolicySpec = z.infer<typeof authorizationPolicySpec>;
export type AuthorizationPolicy = Resource<'AuthorizationPolicy', AuthorizationPolicySpec>;
