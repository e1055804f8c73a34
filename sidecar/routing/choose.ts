// Which destination of a route a request goes to: by weight, at random or by what it is hashed for.
import type { RequestView } from '../exchange.ts';
import type { CompiledDestination, CompiledForward } from './compiled-route.ts';
import { hashOf, type HashText } from './hash-key.ts';

/**
 * Null: there is none, which is 500. One that is `invalid` is chosen too: its share gets 500.
 * @param random from 0 to below 1
 */
export function choose(
  forward: CompiledForward,
  random: number,
  request: RequestView,
  sourceAddress: string,
  hashText: HashText,
): CompiledDestination | null {
  const { sticky } = forward;
  const hash = sticky === null ? null : hashOf(sticky, request, sourceAddress, hashText);
  return chooseAny(forward, hash === null ? random : (hash >>> 0) / 0x1_0000_0000);
}

/** As `choose`, of connections as bytes and of what has no key. */
export function chooseAny(
  { destinations, totalWeight }: CompiledForward,
  share: number,
): CompiledDestination | null {
  const wanted = share * totalWeight;
  for (const destination of destinations) if (wanted < destination.upTo) return destination;
  return destinations.at(-1) ?? null;
}
