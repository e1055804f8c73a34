// AuthorizationPolicy (security.istio.io/v1, v1beta1): who may call what.
import { z } from 'zod';

import type { Resource } from '../resource.ts';
import { targetRef, workloadSelector } from './selector.ts';

const values = z.array(z.string()).optional();

export const source = z.object({
  principals: values,
  notPrincipals: values,
  requestPrincipals: values,
  notRequestPrincipals: values,
  namespaces: values,
  notNamespaces: values,
  serviceAccounts: values,
  notServiceAccounts: values,
  trustDomains: values,
  notTrustDomains: values,
  ipBlocks: values,
  notIpBlocks: values,
  remoteIpBlocks: values,
  notRemoteIpBlocks: values,
});

export const operation = z.object({
  hosts: values,
  notHosts: values,
  ports: values,
  notPorts: values,
  methods: values,
  notMethods: values,
  paths: values,
  notPaths: values,
});

export const condition = z.object({ key: z.string(), values, notValues: values });

export const rule = z.object({
  from: z.array(z.object({ source: source.optional() })).optional(),
  to: z.array(z.object({ operation: operation.optional() })).optional(),
  when: z.array(condition).optional(),
});

export const authorizationPolicySpec = z.object({
  selector: workloadSelector.optional(),
  targetRef: targetRef.optional(),
  targetRefs: z.array(targetRef).optional(),
  action: z.enum(['ALLOW', 'DENY', 'AUDIT', 'CUSTOM']).default('ALLOW'),
  provider: z.object({ name: z.string() }).optional(),
  rules: z.array(rule).optional(),
});

export type Source = z.infer<typeof source>;
export type Operation = z.infer<typeof operation>;
export type Condition = z.infer<typeof condition>;
export type Rule = z.infer<typeof rule>;
export type AuthorizationPolicySpec = z.infer<typeof authorizationPolicySpec>;
export type AuthorizationPolicy = Resource<'AuthorizationPolicy', AuthorizationPolicySpec>;
