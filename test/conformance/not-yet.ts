// The Gateway API's tests of what is still to come, each with what it waits for; all others must pass.

export const notYet: ReadonlyMap<string, string> = new Map([
  ['MeshGRPCRouteWeight', 'GRPCRoute: weights'],
  ['MeshHTTPRoute303Redirect', 'HTTPRoute: filter RequestRedirect, status 303'],
  ['MeshHTTPRoute307Redirect', 'HTTPRoute: filter RequestRedirect, status 307'],
  ['MeshHTTPRoute308Redirect', 'HTTPRoute: filter RequestRedirect, status 308'],
  ['MeshHTTPRouteMatching', 'HTTPRoute: matches of paths and headers'],
  ['MeshHTTPRouteNamedRule', 'HTTPRoute: matches of paths, in rules with names'],
  ['MeshHTTPRouteQueryParamMatching', 'HTTPRoute: matches of query parameters'],
  ['MeshHTTPRouteRedirectHostAndStatus', 'HTTPRoute: filter RequestRedirect, host name and status'],
  ['MeshHTTPRouteRedirectPath', 'HTTPRoute: filter RequestRedirect, path'],
  ['MeshHTTPRouteRedirectPort', 'HTTPRoute: filter RequestRedirect, port'],
  ['MeshHTTPRouteSchemeRedirect', 'HTTPRoute: filter RequestRedirect, scheme'],
  ['MeshHTTPRouteRequestHeaderModifier', 'HTTPRoute: filter RequestHeaderModifier'],
  [
    'MeshHTTPRouteBackendRequestHeaderModifier',
    'HTTPRoute: filter RequestHeaderModifier of a backend',
  ],
  ['MeshHTTPRouteRewritePath', 'HTTPRoute: filter URLRewrite, path'],
  ['MeshHTTPRouteSimpleSameNamespace', 'HTTPRoute: one backend of several'],
  ['MeshHTTPRouteWeight', 'HTTPRoute: weights'],
  ['MeshConsumerRoute', "HTTPRoute of the caller's namespace; filter ResponseHeaderModifier"],
  ['MeshFrontendHostname', 'HTTPRoute found by the address of its Service, whatever the host'],
  ['MeshFrontend', 'HTTPRoute of a Service; filter ResponseHeaderModifier'],
  ['MeshPorts', 'HTTPRoute of one port of a Service; filter ResponseHeaderModifier'],
  ['MeshTrafficSplit', 'HTTPRoute: matches of paths, to backends'],
]);
