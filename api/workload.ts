// A workload as policies and snapshots know it.

/** How the bytes of a port are read. `detect`: by the first bytes, as Istio does for a port without a declared protocol. */
export type PortProtocol = 'http' | 'http2' | 'grpc' | 'tcp' | 'tls' | 'detect';

export interface WorkloadPort {
  /** The workload's own (target) port: what policies call a port. */
  readonly port: number;
  readonly name: string;
  readonly protocol: PortProtocol;
  /** What callers call it by, where a Service or ServiceEntry leads to it. */
  readonly service?: { readonly host: string; readonly port: number };
}

export interface Workload {
  readonly namespace: string;
  /** Name of the Deployment, StatefulSet, …; the pod's where nothing owns it. */
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly serviceAccount: string;
  readonly ports: readonly WorkloadPort[];
  /** Where it runs, as an endpoint's: `region/zone/subzone`. */
  readonly locality?: string;
}
