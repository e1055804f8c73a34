// What a sidecar tells the thread of a filter.
import type { FilterRequest, FilterResponse } from '#api/filter.ts';

export interface FilterStart {
  readonly source: string;
}

export interface FilterCall {
  readonly id: number;
  readonly request: FilterRequest;
  /** Null: onRequest is asked. */
  readonly response: FilterResponse | null;
}
