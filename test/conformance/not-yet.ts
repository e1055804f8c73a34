// The tests of the Gateway API for features that are still to come, each with what it waits for.

const httpRoute = 'HTTPRoute is accepted and not acted upon';

export const notYet: ReadonlyMap<string, string> = new Map([['MeshGRPCRouteWeight', httpRoute]]);
