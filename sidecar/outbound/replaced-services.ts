// Routes for services of which only endpoints have changed: by far the most frequent change, of a list of thousands.
import type { Service } from '#api/snapshot.ts';

import type { Route } from './routes.ts';

/**
 * The routes with the services of `after` in place of those of `before`; a service that is the same object keeps its route.
 * @param routes of `before`: one for each port of each service, in this order
 * @return null when a name, an address or a port is another one
 */
export function replaceServices(
  before: readonly Service[],
  after: readonly Service[],
  routes: readonly Route[],
): readonly Route[] | null {
  if (before.length !== after.length) return null;
  const replaced = [...routes];
  let at = 0;
  for (const [i, old] of before.entries()) {
    const now = after[i];
    if (now === undefined) return null;
    if (now !== old) {
      if (!sameNames(old, now)) return null;
      for (const [p, port] of now.ports.entries()) {
        const route = routes[at + p];
        if (route === undefined) return null;
        replaced[at + p] = { ...route, service: now, port };
      }
    }
    at += old.ports.length;
  }
  return replaced;
}

/** Whether all that leads to a service is as it was. */
function sameNames(a: Service, b: Service): boolean {
  return (
    a.name === b.name &&
    a.namespace === b.namespace &&
    sameTexts(a.hosts, b.hosts) &&
    sameTexts(a.addresses, b.addresses) &&
    a.ports.length === b.ports.length &&
    a.ports.every(({ port }, i) => port === b.ports[i]?.port)
  );
}

function sameTexts(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((text, i) => text === b[i]);
}
