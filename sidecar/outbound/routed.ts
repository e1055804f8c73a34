// What a route makes of one call: which of its destinations, and what is still to be done when it answers.
import type { CompiledDestination, CompiledRoute } from '../routing/compiled-route.ts';

export interface Routed {
  readonly compiled: CompiledRoute;
  /** Null: the route answers by itself, or none was chosen yet. */
  destination: CompiledDestination | null;
  /** The origin that may read the answer; '': CORS has nothing to say. */
  origin: string;
}
