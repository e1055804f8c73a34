// What a filter is: the functions that a user's own file exports, what they are given and what they give back.

/** Names in lower case, one entry for each line. */
export type FilterHeaders = readonly (readonly [name: string, value: string])[];

export interface FilterRequest {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly authority: string;
  readonly headers: FilterHeaders;
  /** Null where the Filter does not ask for bodies (`requestBody`). */
  readonly body: Uint8Array | null;
  /** SPIFFE IDs of the caller's certificate; empty without mutual TLS. */
  readonly peer: readonly string[];
  /** Claims of the verified token; null without one. */
  readonly claims: Readonly<Record<string, unknown>> | null;
}

export interface FilterResponse {
  readonly status: number;
  readonly headers: FilterHeaders;
  readonly body: Uint8Array;
}

export interface FilterHeaderEdits {
  readonly remove?: readonly string[];
  /** In place of those that are there. */
  readonly set?: Readonly<Record<string, string>>;
  /** Beside those that are there. */
  readonly add?: Readonly<Record<string, string>>;
}

export interface FilterRequestEdits {
  readonly path?: string;
  readonly headers?: FilterHeaderEdits;
  /** Only where the Filter asks for bodies. */
  readonly body?: string | Uint8Array;
}

export interface FilterResponseEdits {
  readonly headers?: FilterHeaderEdits;
  readonly body?: string | Uint8Array;
}

/** The application does not hear of the request. */
export interface FilterAnswer {
  readonly respond: {
    readonly status: number;
    readonly headers?: Readonly<Record<string, string>>;
    readonly body?: string | Uint8Array;
  };
}

type Later<T> = T | undefined | Promise<T | undefined>;

/** `export function onRequest`: undefined lets the request pass as it is. */
export type OnRequest = (request: FilterRequest) => Later<FilterRequestEdits | FilterAnswer>;

/** `export function onResponse`: undefined lets the answer pass as it is. @param request without its body */
export type OnResponse = (
  response: FilterResponse,
  request: FilterRequest,
) => Later<FilterResponseEdits>;
