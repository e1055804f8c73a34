// What control pushes to a sidecar: one immutable, numbered snapshot for each workload, and the messages around it.
import type { AuthorizationPolicy } from './kinds/authorization-policy.ts';
import type { ExtensionResource } from './kinds/extension.ts';
import type { MeshConfig } from './kinds/mesh-config.ts';
import type { PeerAuthentication } from './kinds/peer-authentication.ts';
import type { RequestAuthentication } from './kinds/request-authentication.ts';
import type { TelemetrySettings } from './telemetry.ts';
import type { DestinationPolicy, OutboundScope } from './traffic/destination.ts';
import type { InboundPort } from './traffic/inbound.ts';
import type { RouteGroup } from './traffic/route.ts';
import type { PortProtocol, Workload } from './workload.ts';

export type PolicyResource = AuthorizationPolicy | RequestAuthentication | PeerAuthentication;

/**
 * How a sidecar finds where a service is. `none`: the address that was called. `dns`: each endpoint is a name (or an
 * address) of which all addresses are balanced over. `dns-round-robin`: the one name's first address of each look-up.
 * `dynamic-dns`: the name that was called, which the service's wildcard covers.
 */
export type ServiceResolution = 'none' | 'dns' | 'dns-round-robin' | 'dynamic-dns';

export interface Endpoint {
  /** IP address to connect to; of a service with a resolution by DNS it may be a name, which the sidecar resolves. */
  readonly address: string;
  /** Port to connect to. */
  readonly port: number;
  /** The SPIFFE ID its certificate must carry; null: it has no sidecar, so it gets plaintext. */
  readonly identity: string | null;
  readonly workload: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Where it runs, as far as the cluster says. */
  readonly zone?: string;
  readonly node?: string;
  /** `region/zone/subzone`, as far as known: parts at the end may be missing, and one that is not known is empty (`/zone-a`). */
  readonly locality?: string;
  /** Its share of calls beside those of the same locality; 1 where it is left out. */
  readonly weight?: number;
}

export interface ServicePort {
  /** The Service's port: what callers name. */
  readonly port: number;
  readonly name: string;
  readonly protocol: PortProtocol;
  /** Ready endpoints of this port, in a stable order. */
  readonly endpoints: readonly Endpoint[];
}

export interface Service {
  readonly name: string;
  readonly namespace: string;
  /** Fully qualified first: `payments.payments.svc.cluster.local`, then the shorter names that mean it everywhere. */
  readonly hosts: readonly string[];
  /**
   * Cluster addresses; empty when it has none (headless, local mesh). Of a ServiceEntry also CIDRs (`10.1.0.0/16`), or
   * automatic ones (api/automatic-address.ts).
   */
  readonly addresses: readonly string[];
  readonly ports: readonly ServicePort[];
  /** Left out: the endpoints are addresses, all that there are. */
  readonly resolution?: ServiceResolution;
  /** Names that certificates of its endpoints may have, of TLS that a policy asks for; without them only the name that was called. */
  readonly subjectAltNames?: readonly string[];
}

export interface Snapshot {
  /**
   * Grows with each change, never reused by one control process. Numbers of two control processes say nothing about each
   * other: every connection begins with a whole snapshot, which counts whatever its number.
   */
  readonly version: number;
  readonly mesh: MeshConfig;
  readonly workload: Workload;
  /**
   * Policies that may apply to the workload, oldest first, only valid ones; jwksUri already resolved into `jwks`.
   * Where keys could not be had, `jwks` is `{"keys":[]}`: every token of that issuer fails, as in Istio.
   */
  readonly policies: readonly PolicyResource[];
  /** Services that the workload may call, in a stable order. */
  readonly services: readonly Service[];
  /** How its calls are routed; the first group of a host and port counts. Left out, as all below: nothing is said. */
  readonly routes?: readonly RouteGroup[];
  /** How it treats the services that it calls, by host. */
  readonly destinations?: readonly DestinationPolicy[];
  /** Resources of our own kinds that apply to the workload, valid ones, oldest first. */
  readonly extensions?: readonly ExtensionResource[];
  readonly scope?: OutboundScope;
  readonly telemetry?: TelemetrySettings;
  /** What its sidecar does with calls to its own ports. */
  readonly inbound?: readonly InboundPort[];
}

/** One line (JSON) from a sidecar to control. The first is a hello. */
export type SidecarMessage =
  | {
      readonly type: 'hello';
      readonly namespace: string;
      readonly workload: string;
      readonly pod: string;
      readonly version: string;
      readonly have: number;
    }
  | { readonly type: 'ack'; readonly version: number }
  | { readonly type: 'nack'; readonly version: number; readonly reason: string };

/** One line (JSON) from control to a sidecar. */
export type ControlMessage =
  | { readonly type: 'snapshot'; readonly snapshot: Snapshot }
  | { readonly type: 'delta'; readonly delta: SnapshotDelta }
  | { readonly type: 'ping' };

/**
 * Turns the snapshot `from` into `to`. Keys are `kind/namespace/name` of policies and extensions, `namespace/name` of
 * services, `key` of routes and `host` of destinations.
 * `order` lists all keys of `to`; left out, it means: those of `from` less the removed, then new ones in the order of `set`.
 */
export interface SnapshotDelta {
  readonly from: number;
  readonly to: number;
  readonly mesh?: MeshConfig;
  readonly workload?: Workload;
  readonly policies?: ListDelta<PolicyResource>;
  readonly services?: ListDelta<Service>;
  readonly routes?: ListDelta<RouteGroup>;
  readonly destinations?: ListDelta<DestinationPolicy>;
  readonly extensions?: ListDelta<ExtensionResource>;
  /** Null: there is none any more. */
  readonly scope?: OutboundScope | null;
  readonly telemetry?: TelemetrySettings | null;
  /** Whole; empty: there is none any more. */
  readonly inbound?: readonly InboundPort[];
}

export interface ListDelta<T> {
  readonly set: readonly T[];
  readonly remove: readonly string[];
  readonly order?: readonly string[];
}
