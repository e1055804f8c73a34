// Every kind that is read: its group, the versions served, the shape of its spec and what else must
// hold.
import { z } from 'zod';

import type { Finding } from '../origin.ts';
import type { Resource } from '../resource.ts';
import { validateApiKeyAuthentication } from '../validate/api-key-authentication.ts';
import { validateAuthorizationPolicy } from '../validate/authorization-policy.ts';
import { validateCircuitBreaker } from '../validate/circuit-breaker.ts';
import { validateDestinationRule } from '../validate/destination-rule.ts';
import { validateFilter } from '../validate/filter.ts';
import { validateHealthCheck } from '../validate/health-check.ts';
import { validatePeerAuthentication } from '../validate/peer-authentication.ts';
import { validateRateLimit } from '../validate/rate-limit.ts';
import { validateRequestAuthentication } from '../validate/request-authentication.ts';
import { validateResponseCache } from '../validate/response-cache.ts';
import { validateServiceEntry } from '../validate/service-entry.ts';
import { validateSidecar } from '../validate/sidecar.ts';
import { validateTelemetry } from '../validate/telemetry.ts';
import { validateTransformation } from '../validate/transformation.ts';
import { validateWorkloadEntry } from '../validate/workload-entry.ts';
import { validateGrpcRoute } from '../validate/grpc-route.ts';
import { validateHttpRoute } from '../validate/http-route.ts';
import { validateVirtualService } from '../validate/virtual-service.ts';
import { validateTokenExchange } from '../validate/token-exchange.ts';
import {
  type ApiKeyAuthenticationSpec,
  apiKeyAuthenticationSpec,
  apiKeysLabel,
} from './api-key-authentication.ts';
import { type AuthorizationPolicySpec, authorizationPolicySpec } from './authorization-policy.ts';
import { type CircuitBreakerSpec, circuitBreakerSpec } from './circuit-breaker.ts';
import { deploymentSpec } from './deployment.ts';
import { type DestinationRuleSpec, destinationRuleSpec } from './destination-rule.ts';
import { endpointSliceSpec } from './endpoint-slice.ts';
import { type FilterSpec, filterSpec } from './filter.ts';
import { type HealthCheckSpec, healthCheckSpec } from './health-check.ts';
import { gatewayGroup } from './gateway-route.ts';
import { type GrpcRouteSpec, grpcRouteSpec } from './grpc-route.ts';
import { type HttpRouteSpec, httpRouteSpec } from './http-route.ts';
import { type PeerAuthenticationSpec, peerAuthenticationSpec } from './peer-authentication.ts';
import { podSpec } from './pod.ts';
import { type RateLimitSpec, rateLimitSpec } from './rate-limit.ts';
import { referenceGrantSpec } from './reference-grant.ts';
import {
  type RequestAuthenticationSpec,
  requestAuthenticationSpec,
} from './request-authentication.ts';
import { type ResponseCacheSpec, responseCacheSpec } from './response-cache.ts';
import { type ServiceEntrySpec, serviceEntrySpec } from './service-entry.ts';
import { type SidecarSpec, sidecarSpec } from './sidecar.ts';
import { type WorkloadEntrySpec, workloadEntrySpec } from './workload-entry.ts';
import { type VirtualServiceSpec, virtualServiceSpec } from './virtual-service.ts';
import { secretSpec } from './secret.ts';
import { serviceSpec } from './service.ts';
import { type TelemetrySpec, telemetrySpec } from './telemetry.ts';
import { type TokenExchangeSpec, tokenExchangeSpec } from './token-exchange.ts';
import { type TransformationSpec, transformationSpec } from './transformation.ts';

export interface KindEntry {
  readonly kind: string;
  /** '' is Kubernetes' core group. */
  readonly group: string;
  readonly versions: readonly string[];
  readonly spec: z.ZodType;
  /** All fields are in `spec`: one that is not there is a mistake. */
  readonly complete: boolean;
  readonly namespaced: boolean;
  /** Its CRD is another project's: it is used where a cluster has it, and never installed. */
  readonly foreignCrd?: true;
  /** Its status is not the conditions that other kinds have. */
  readonly status?: 'route-parents' | 'none';
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
const gatewayApi = {
  group: gatewayGroup,
  complete: true,
  namespaced: true,
  foreignCrd: true as const,
};

const networking = {
  group: 'networking.istio.io',
  versions: ['v1', 'v1beta1', 'v1alpha3'],
  complete: true,
  namespaced: true,
};

const own = { group: 'selvage.dev', versions: ['v1alpha1'], complete: true, namespaced: true };

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
    group: 'telemetry.istio.io',
    versions: ['v1', 'v1alpha1'],
    complete: true,
    namespaced: true,
    kind: 'Telemetry',
    spec: telemetrySpec,
    validate: (resource) => validateTelemetry(resource as Resource<string, TelemetrySpec>),
  },
  {
    ...own,
    kind: 'ApiKeyAuthentication',
    spec: apiKeyAuthenticationSpec,
    validate: (resource) =>
      validateApiKeyAuthentication(resource as Resource<string, ApiKeyAuthenticationSpec>),
  },
  {
    ...own,
    kind: 'TokenExchange',
    spec: tokenExchangeSpec,
    validate: (resource) => validateTokenExchange(resource as Resource<string, TokenExchangeSpec>),
  },
  {
    ...networking,
    kind: 'ServiceEntry',
    spec: serviceEntrySpec,
    validate: (resource) => validateServiceEntry(resource as Resource<string, ServiceEntrySpec>),
  },
  {
    ...networking,
    kind: 'WorkloadEntry',
    spec: workloadEntrySpec,
    validate: (resource) => validateWorkloadEntry(resource as Resource<string, WorkloadEntrySpec>),
  },
  {
    ...networking,
    kind: 'Sidecar',
    spec: sidecarSpec,
    validate: (resource) => validateSidecar(resource as Resource<string, SidecarSpec>),
  },
  {
    ...networking,
    kind: 'DestinationRule',
    spec: destinationRuleSpec,
    validate: (resource) =>
      validateDestinationRule(resource as Resource<string, DestinationRuleSpec>),
  },
  {
    ...own,
    kind: 'CircuitBreaker',
    spec: circuitBreakerSpec,
    validate: (resource) =>
      validateCircuitBreaker(resource as Resource<string, CircuitBreakerSpec>),
  },
  {
    ...own,
    kind: 'HealthCheck',
    spec: healthCheckSpec,
    validate: (resource) => validateHealthCheck(resource as Resource<string, HealthCheckSpec>),
  },
  {
    kind: 'VirtualService',
    group: 'networking.istio.io',
    versions: ['v1', 'v1beta1', 'v1alpha3'],
    spec: virtualServiceSpec,
    complete: true,
    namespaced: true,
    validate: (resource) =>
      validateVirtualService(resource as Resource<string, VirtualServiceSpec>),
  },
  {
    ...gatewayApi,
    kind: 'HTTPRoute',
    versions: ['v1', 'v1beta1'],
    spec: httpRouteSpec,
    status: 'route-parents',
    validate: (resource) => validateHttpRoute(resource as Resource<string, HttpRouteSpec>),
  },
  {
    ...gatewayApi,
    kind: 'GRPCRoute',
    versions: ['v1', 'v1alpha2'],
    spec: grpcRouteSpec,
    status: 'route-parents',
    validate: (resource) => validateGrpcRoute(resource as Resource<string, GrpcRouteSpec>),
  },
  {
    ...gatewayApi,
    kind: 'ReferenceGrant',
    versions: ['v1', 'v1beta1'],
    spec: referenceGrantSpec,
    status: 'none',
  },
  {
    kind: 'RateLimit',
    group: 'selvage.dev',
    versions: ['v1alpha1'],
    spec: rateLimitSpec,
    complete: true,
    namespaced: true,
    validate: (resource) => validateRateLimit(resource as Resource<string, RateLimitSpec>),
  },
  {
    ...own,
    kind: 'Filter',
    spec: filterSpec,
    validate: (resource) => validateFilter(resource as Resource<string, FilterSpec>),
  },
  {
    ...own,
    kind: 'ResponseCache',
    spec: responseCacheSpec,
    validate: (resource) => validateResponseCache(resource as Resource<string, ResponseCacheSpec>),
  },
  {
    ...own,
    kind: 'Transformation',
    spec: transformationSpec,
    validate: (resource) =>
      validateTransformation(resource as Resource<string, TransformationSpec>),
  },
];

/** Entries by `group/Kind`. */
export const kinds: ReadonlyMap<string, KindEntry> = new Map(
  entries.map((entry) => [`${entry.group}/${entry.kind}`, entry]),
);
