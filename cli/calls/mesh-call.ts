// A call as a person describes it, in a test or on the command line.
/** A call in the mesh. Only `from` and `to` are needed. */
export interface MeshCall {
  /** `namespace/service-account`, a whole identity `domain/ns/x/sa/y`, or `none`: plaintext. */
  readonly from: string;
  /** `namespace/workload`. */
  readonly to: string;
  /** The workload's own port; by default its first (`tcp`: its first that carries TCP). */
  readonly port?: number;
  /** Default GET. */
  readonly method?: string;
  /** With its query. Default `/`. */
  readonly path?: string;
  /** By default the name of a Service that selects the workload. */
  readonly host?: string;
  /** A list of values makes as many header lines. */
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  /** Claims of a token whose signature counts as good: `{ iss, sub, aud, … }`. */
  readonly token?: Readonly<Record<string, unknown>>;
  /** The client's address. Default 10.0.0.1. */
  readonly ip?: string;
  /** The address that is called. Default 10.0.0.2. */
  readonly destinationIp?: string;
  /** Server name of the TLS hello. By default what a sidecar sends. */
  readonly sni?: string;
  /** Bytes that are not HTTP. */
  readonly tcp?: boolean;
  /** What external authorizers answer. Default `deny`. */
  readonly authorizer?: 'allow' | 'deny';
}
