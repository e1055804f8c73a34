// Every check beyond what Istio's webhook refuses: dangling references, and Istio's surprises.
import type { MeshResources } from '#api/mesh.ts';
import type { Problem } from '#api/problem.ts';

import { checkAddresses } from './addresses.ts';
import { checkAttachment } from './attachment.ts';
import { checkClaims } from './claims.ts';
import { type Check, makeContext } from './context.ts';
import { checkCredentials } from './credentials.ts';
import { checkDenials } from './denials.ts';
import { checkDestinations } from './destinations.ts';
import { checkEmptiness } from './emptiness.ts';
import { checkExtensions } from './extensions.ts';
import { checkGatewayRoutes } from './gateway-routes.ts';
import { checkHeaders } from './headers.ts';
import { checkHosts } from './hosts.ts';
import { checkIdentities } from './identities.ts';
import { checkInjection } from './injection.ts';
import { checkMethods } from './methods.ts';
import { checkNames } from './names.ts';
import { checkNegatives } from './negatives.ts';
import { checkPaths } from './paths.ts';
import { checkPeerAuthentication } from './peer-authentication.ts';
import { checkPorts } from './ports.ts';
import { checkProviders } from './providers.ts';
import { checkScopes } from './scopes.ts';
import { checkRouteOrder } from './route-order.ts';
import { checkRoutes } from './routes.ts';
import { checkServerNames } from './server-names.ts';
import { checkServices } from './services.ts';
import { checkTcp } from './tcp.ts';
import { checkTelemetry } from './telemetry.ts';
import { checkTokens } from './tokens.ts';
import { checkTrial } from './trial.ts';
import { checkWildcards } from './wildcards.ts';

const checks: readonly Check[] = [
  checkNames,
  checkInjection,
  checkServices,
  checkAttachment,
  checkTrial,
  checkEmptiness,
  checkIdentities,
  checkNegatives,
  checkWildcards,
  checkMethods,
  checkPaths,
  checkDenials,
  checkHosts,
  checkHeaders,
  checkServerNames,
  checkPorts,
  checkAddresses,
  checkTcp,
  checkTokens,
  checkClaims,
  checkPeerAuthentication,
  checkProviders,
  checkDestinations,
  checkScopes,
  checkRoutes,
  checkRouteOrder,
  checkGatewayRoutes,
  checkExtensions,
  checkCredentials,
  checkTelemetry,
];

/** All warnings, in the order of files and lines. */
export function lintMesh(mesh: MeshResources): Problem[] {
  const context = makeContext(mesh);
  return checks.flatMap((check) => check(context)).toSorted(byPlace);
}

export function byPlace(a: Problem, b: Problem): number {
  const file = compare(a.file ?? '', b.file ?? '');
  return file || (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0);
}

/** By code units: the same in every locale. */
function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
