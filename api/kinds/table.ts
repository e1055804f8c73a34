// Every kind that is read: its group, the versions served, the shape of its spec and what else must
// hold.
import { z } from 'zod';

import type { Finding } from '../origin.ts';
import type { Resource } from '../resource.ts';
import { validateApiKeyAuthentication } from '../validate/api-key-authentication.ts';
import { validateAuthorizationPolicy } from '../validate/authorization-policy.ts';
import { validatePeerAuthentication } from '../validate/peer-authentication.ts';
import { validateRequestAuthentication } from '../validate/request-authentication.ts';
import { validateTokenExchange } from '../validate/token-exchange.ts';
import {
  type ApiKeyAuthenticationSpec,
  apiKeyAuthenticationSpec,
  apiKeysLabel,
} from './api-key-authentication.ts';
import { type AuthorizationPolicySpec, authorizationPolicySpec } from './authorization-policy.ts';
import { deploymentSpec } from './deployment.ts';
import { endpointSliceSpec } from './endpoint-slice.ts';
import { type PeerAuthenticationSpec, peerAuthenticationSpec } from './peer-authentication.ts';
import { podSpec } from './pod.ts';
import {
  type RequestAuthenticationSpec,
  requestAuthenticationSpec,
} from './request-authentication.ts';
import { secretSpec } from './secret.ts';
import { serviceEntrySpec } from './service-entry.ts';
import { serviceSpec } from './service.ts';
import { type TokenExchangeSpec, tokenExchangeSpec } from './token-exchange.ts';

export interface KindEntry {
  readonly kind: string;
  /** '' is Kubernetes' core group. */
  readonly group: string;
  readonly versions: readonly string[];
  readonly spec: z.ZodType;
  /** All fields are in `spec`: one that is not there is a mistake. */
  readonly complete: boolean;
  readonly namespaced: boolean;
  /** For a kind without `spec`: the fields of the document that stand for one. */
  readonly rootFields?: readonly string[];
  /** Only objects with this label are read; others are as if they were not there. */
  readonly label?: readonly [name: string, value: string];
  /** What Istio's webhook asks beyond the shape. */
  validate?(resource: Resource): Finding[];
}

const nothing = z.object({});
const core = { group: '', versions: ['v1'], complete: false, namespaced: true };
const apps = { group: 'apps', versions: ['v1'], complete: false, namespaced: true };
const security = {
  group: 'security.istio.io',
  versions: ['v1', 'v1beta1'],
  complete: true,
  namespaced: true,
};

const selvage = {
  group: 'selvage.dev',
  versions: ['v1alpha1'],
  complete: true,
  namespaced: true,
};

const entries: readonly KindEntry[] = [
  { ...core, kind: 'Namespace', spec: nothing, namespaced: false },
  { ...core, kind: 'ServiceAccount', spec: nothing },
  { ...core, kind: 'Service', spec: serviceSpec },
  { ...core, kind: 'Pod', spec: podSpec },
  {
    ...core,
    kind: 'Secret',
    spec: secretSpec,
    rootFields: ['data', 'stringData', 'hashes'],
    label: [apiKeysLabel, 'true'],
  },
  {
    kind: 'EndpointSlice',
    group: 'discovery.k8s.io',
    versions: ['v1'],
    spec: endpointSliceSpec,
    rootFields: ['addressType', 'endpoints', 'ports'],
    complete: false,
    namespaced: true,
  },
  { ...apps, kind: 'Deployment', spec: deploymentSpec },
  { ...apps, kind: 'StatefulSet', spec: deploymentSpec },
  { ...apps, kind: 'DaemonSet', spec: deploymentSpec },
  {
    ...security,
    kind: 'AuthorizationPolicy',
    spec: authorizationPolicySpec,
    validate: (resource) =>
      validateAuthorizationPolicy(resource as Resource<string, AuthorizationPolicySpec>),
  },
  {
    ...security,
    kind: 'RequestAuthentication',
    spec: requestAuthenticationSpec,
    validate: (resource) =>
      validateRequestAuthentication(resource as Resource<string, RequestAuthenticationSpec>),
  },
  {
    ...security,
    kind: 'PeerAuthentication',
    spec: peerAuthenticationSpec,
    validate: (resource) =>
      validatePeerAuthentication(resource as Resource<string, PeerAuthenticationSpec>),
  },
  {
    ...selvage,
    kind: 'ApiKeyAuthentication',
    spec: apiKeyAuthenticationSpec,
    validate: (resource) =>
      validateApiKeyAuthentication(resource as Resource<string, ApiKeyAuthenticationSpec>),
  },
  {
    ...selvage,
    kind: 'TokenExchange',
    spec: tokenExchangeSpec,
    validate: (resource) => validateTokenExchange(resource as Resource<string, TokenExchangeSpec>),
  },
  {
    kind: 'ServiceEntry',
    group: 'networking.istio.io',
    versions: ['v1', 'v1beta1', 'v1alpha3'],
    spec: serviceEntrySpec,
    complete: true,
    namespaced: true,
  },
];

/** Entries by `group/Kind`. */
export const kinds: ReadonlyMap<string, KindEntry> = new Map(
  entries.map((entry) => [`${entry.group}/${entry.kind}`, entry]),
);
