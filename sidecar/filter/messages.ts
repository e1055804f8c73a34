// What a sidecar and the thread of a filter say to each other.
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

export type FromFilter =
  | { readonly kind: 'ready' }
  | { readonly kind: 'broken'; readonly why: string }
  | { readonly kind: 'result'; readonly id: number; readonly result: unknown }
  | { readonly kind: 'threw'; readonly id: number; readonly why: string };
