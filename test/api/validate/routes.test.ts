import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { loadText } from '#api/load.ts';

/** Messages of all errors of a document, each with the text that stands at its place. */
function errorsOf(kind: string, apiVersion: string, spec: string, annotations = ''): string[] {
  const text = `apiVersion: ${apiVersion}
kind: ${kind}
metadata: {name: r, namespace: shop, annotations: {${annotations}}}
spec:
${spec.trim().replace(/^/gm, '  ')}
`;
  const lines = text.split('\n');
  return loadText(text, 'f.yaml')
    .problems.filter(({ severity }) => severity === 'error')
    .map(
      ({ message, line = 0, column = 0 }) => `${message} @ ${lines[line - 1]?.slice(column - 1)}`,
    );
}

const vs = (spec: string, annotations = ''): string[] =>
  errorsOf('VirtualService', 'networking.istio.io/v1', spec, annotations);
const rule = (text: string): string[] =>
  vs(`hosts: [web]\nhttp:\n- ${text.replaceAll('\n', '\n  ')}`);
const route = 'route: [{destination: {host: web}}]';
const match = (text: string): string[] => rule(`match: [{${text}}]\n${route}`);

test('all versions of Istio and the Gateway API are read', () => {
  const spec = `hosts: [web]\nhttp: [{${route}}]`;
  for (const version of ['v1', 'v1beta1', 'v1alpha3']) {
    expect(errorsOf('VirtualService', `networking.istio.io/${version}`, spec)).toEqual([]);
  }
  const group = 'gateway.networking.k8s.io';
  for (const version of ['v1', 'v1beta1']) {
    expect(errorsOf('HTTPRoute', `${group}/${version}`, 'parentRefs: []')).toEqual([]);
    const grant = 'from: [{group: a, kind: B, namespace: c}]\nto: [{group: "", kind: Service}]';
    expect(errorsOf('ReferenceGrant', `${group}/${version}`, grant)).toEqual([]);
  }
  for (const version of ['v1', 'v1alpha2']) {
    expect(errorsOf('GRPCRoute', `${group}/${version}`, 'parentRefs: []')).toEqual([]);
  }
});

test.each([
  ['no rules', 'hosts: [web]', 'it has no rules'],
  ['a host with a blank', `hosts: ["a b"]\nhttp: [{${route}}]`, 'is no host name'],
  ['a wildcard inside', `hosts: ["a.*.b"]\nhttp: [{${route}}]`, 'is no host name'],
  ['every host', `hosts: ["*"]\nhttp: [{${route}}]`, 'only for gateways'],
  ['overlapping hosts', `hosts: ["*.b", a.b]\nhttp: [{${route}}]`, 'names in common'],
  ['a gateway with a slash', `hosts: [a.b]\ngateways: [a/]\nhttp: [{${route}}]`, 'is no gateway'],
  ['a delegate with tcp', `tcp: [{${route}}]`, 'a delegate has no tcp rules'],
  ['a delegate with gateways', `gateways: [mesh]\nhttp: [{${route}}]`, 'has no gateways'],
  [
    'a delegate of a delegate',
    'http: [{delegate: {name: x}, redirect: {uri: /a}}]',
    'no delegate of its own',
  ],
  ['exportTo twice', `hosts: [a.b]\nexportTo: [".", shop]\nhttp: [{${route}}]`, 'twice'],
  [
    'exportTo all and more',
    `hosts: [a.b]\nexportTo: ["*", x]\nhttp: [{${route}}]`,
    '"*" beside others',
  ],
  ['tls without match', `hosts: [a.b]\ntls: [{${route}}]`, 'needs a match'],
  [
    'another server name',
    `hosts: [a.b]\ntls: [{match: [{sniHosts: [c.d]}], ${route}}]`,
    'none of the hosts',
  ],
  [
    'a subnet',
    `hosts: [a.b]\ntcp: [{match: [{destinationSubnets: [10.0.0.0/99]}], ${route}}]`,
    'prefix length',
  ],
  ['tcp without route', 'hosts: [a.b]\ntcp: [{match: [{port: 1}]}]', 'it has no route'],
])('a VirtualService with %s', (_, spec, message) => {
  const errors = vs(spec);
  expect(errors.join('\n')).toContain(message);
  expect(errors).toHaveLength(1);
});

test('addresses, wildcards and the host * of a gateway are hosts', () => {
  expect(vs(`hosts: [10.0.0.1, "*.a.b", "*-c.d"]\nhttp: [{${route}}]`)).toEqual([]);
  expect(vs(`hosts: ["*"]\ngateways: [ns/name]\nhttp: [{${route}}]`)).toEqual([]);
  expect(
    vs(
      `hosts: [web]\nhttp: [{match: [{headers: {"@request.auth.claims.a": {exact: b}}}], ${route}}]`,
    ),
  ).toHaveLength(1);
});

test.each([
  ['nothing to do', 'name: x', 'the rule does nothing'],
  ['a route beside a redirect', `redirect: {uri: /a}\n${route}`, 'route stands beside redirect'],
  [
    'a fault beside an answer',
    'directResponse: {status: 200}\nfault: {delay: {fixedDelay: 1s}}',
    'fault stands beside directResponse',
  ],
  [
    'an answer beside a redirect',
    'redirect: {uri: /a}\ndirectResponse: {status: 200}',
    'directResponse stands beside redirect',
  ],
  ['a route beside a delegate', `delegate: {name: x}\n${route}`, 'delegate stands beside route'],
  [
    'mirror and mirrors',
    `mirror: {host: web}\nmirrors: [{destination: {host: web}}]\n${route}`,
    'mirrors stands beside mirror',
  ],
  ['a negative weight', 'route: [{destination: {host: a}, weight: -1}]', 'below 0'],
  [
    'weights of 0',
    'route: [{destination: {host: a}}, {destination: {host: b}}]',
    'all weights are 0',
  ],
  ['no destination', 'route: [{weight: 1}]', 'it has no destination'],
  ['a destination *', 'route: [{destination: {host: "*"}}]', 'not "*"'],
  ['port 0', 'route: [{destination: {host: a, port: {number: 0}}}]', '0 is no port'],
  ['a subset with a dot', 'route: [{destination: {host: a, subset: a.b}}]', 'no name of a subset'],
  ['a timeout of nothing', `timeout: 0s\n${route}`, 'shorter than 1ms'],
  ['a timeout of half a millisecond', `timeout: 1.5ms\n${route}`, 'whole number of milliseconds'],
  ['a timeout without unit', `timeout: "5"\n${route}`, 'no duration'],
  ['retries that are off', `retries: {attempts: 0, retryOn: 5xx}\n${route}`, 'attempts is 0'],
  ['negative retries', `retries: {attempts: -1}\n${route}`, 'below 0'],
  [
    'a retry word with a blank',
    `retries: {attempts: 1, retryOn: "5xx, reset"}\n${route}`,
    '" reset" is no condition',
  ],
  ['a retry status', `retries: {attempts: 1, retryOn: "999"}\n${route}`, '"999" is no condition'],
  ['an empty fault', `fault: {}\n${route}`, 'neither delay nor abort'],
  [
    'a share of 101 %',
    `fault: {delay: {fixedDelay: 1s, percentage: {value: 101}}}\n${route}`,
    '101 %',
  ],
  [
    'less than a millionth',
    `fault: {delay: {fixedDelay: 1s, percentage: {value: 0.00001}}}\n${route}`,
    '0.0001',
  ],
  ['a status of gRPC', `fault: {abort: {grpcStatus: UNAVAILBLE}}\n${route}`, 'no status of gRPC'],
  ['a status of 199', `fault: {abort: {httpStatus: 199}}\n${route}`, '199 is no status'],
  [
    'two kinds of abort',
    `fault: {abort: {httpStatus: 500, grpcStatus: UNAVAILABLE}}\n${route}`,
    'only one of',
  ],
  ['an answer of 100', 'directResponse: {status: 100}', '100 is no status'],
  ['a redirect to nowhere', 'redirect: {redirectCode: 302}', 'the redirect changes nothing'],
  ['a redirect of 200', 'redirect: {uri: /a, redirectCode: 200}', '200 is no status of a redirect'],
  ['two new paths', 'redirect: {uri: /a, prefixRewrite: /b}', 'uri stands beside prefixRewrite'],
  ['a scheme', 'redirect: {scheme: ftp}', 'neither http nor https'],
  [
    'prefixRewrite of an exact path',
    'match: [{uri: {exact: /a}}]\nredirect: {prefixRewrite: /b}',
    'needs a prefix',
  ],
  ['an empty rewrite', `rewrite: {}\n${route}`, 'the rewrite changes nothing'],
  [
    'two rewrites',
    `rewrite: {uri: /a, uriRegexRewrite: {match: a, rewrite: b}}\n${route}`,
    'uri stands beside',
  ],
  ['half a rewrite', `rewrite: {uriRegexRewrite: {match: a}}\n${route}`, 'both match and rewrite'],
  ['a method of CORS', `corsPolicy: {allowMethods: [get]}\n${route}`, 'no method'],
  ['an empty origin', `corsPolicy: {allowOrigins: [{}]}\n${route}`, 'the origin is empty'],
  ['a mirror of 101 %', `mirror: {host: a}\nmirrorPercentage: {value: 101}\n${route}`, '101 %'],
  [
    'the host in an answer',
    `headers: {response: {set: {host: a}}}\n${route}`,
    'cannot be changed here',
  ],
  [
    'the path as a header',
    `headers: {request: {set: {":path": a}}}\n${route}`,
    'no header that can be changed',
  ],
  ['a lone percent sign', `headers: {request: {set: {a: 100%}}}\n${route}`, 'lone "%"'],
  [
    'the host twice',
    `rewrite: {authority: a}\nheaders: {request: {set: {host: b}}}\n${route}`,
    'in two places',
  ],
])('a rule with %s', (_, text, message) => {
  const errors = rule(text);
  expect(errors.join('\n')).toContain(message);
  expect(errors).toHaveLength(1);
});

test.each([
  ['a broken expression', 'uri: {regex: "/a("}', 'no regular expression'],
  ['what RE2 does not have', 'uri: {regex: "(?=a)b"}', 'no regular expression'],
  ['a long expression', `uri: {regex: ${'a'.repeat(1025)}}`, '1024'],
  ['an empty expression', 'headers: {x: {regex: ""}}', 'may not be empty'],
  ['two kinds', 'uri: {exact: /a, prefix: /b}', 'only one of exact'],
  ['an empty prefix of a header', 'headers: {x: {prefix: ""}}', 'a prefix may not be empty'],
  ['a header name', 'headers: {"a b": {exact: c}}', 'no header name'],
  ['port 65536', 'port: 65536', '65536 is no port'],
  ['a label', 'sourceLabels: {"a b": c}', 'no name of a label'],
  ['a namespace', 'sourceNamespace: a.b', 'no namespace'],
])('a match with %s', (_, text, message) => {
  const errors = match(text);
  expect(errors.join('\n')).toContain(message);
  expect(errors).toHaveLength(1);
});

test('what Istio takes is taken', () => {
  for (const text of [
    'uri: {prefix: ""}',
    'headers: {x: {}, ":method": {exact: GET}}',
    'withoutHeaders: {x: {regex: "*"}}',
    'uri: {regex: "(?i)/a/[^/]+"}',
    'gateways: [mesh, ns/gateway], port: 0',
  ]) {
    expect(match(text)).toEqual([]);
  }
  for (const text of [
    `headers: {request: {set: {host: a, x: "%REQ(x)% 100%%"}}}\n${route}`,
    `retries: {attempts: 3, retryOn: "gateway-error,503,unavailable", perTryTimeout: 1h1m1s}\n${route}`,
    `mirrorPercent: 100\n${route}`,
    'redirect: {derivePort: FROM_REQUEST_PORT}',
  ]) {
    expect(rule(text)).toEqual([]);
  }
});

test('a sticky key that cannot be read is an error', () => {
  const spec = `hosts: [web]\nhttp: [{${route}}]`;
  for (const key of ['header:x-user', 'cookie:sid', 'query:id', 'source-ip']) {
    expect(vs(spec, `selvage.dev/sticky-by: "${key}"`)).toEqual([]);
  }
  for (const key of ['x-user', 'header:', 'header:a b', 'source-ip:1', '']) {
    expect(vs(spec, `selvage.dev/sticky-by: "${key}"`)[0]).toContain('is no key');
  }
});

const http = (rules: string): string[] =>
  errorsOf(
    'HTTPRoute',
    'gateway.networking.k8s.io/v1',
    `parentRefs: [{group: "", kind: Service, name: web}]\nrules: [{${rules}}]`,
  );

test.each([
  ['a backend without port', 'backendRefs: [{name: a}]', 'has no port'],
  ['a path without slash', 'matches: [{path: {value: a}}]', 'does not begin with "/"'],
  ['a path with dots', 'matches: [{path: {value: /a/../b}}]', 'no plain path'],
  [
    'a broken expression',
    'matches: [{path: {type: RegularExpression, value: "("}}]',
    'no regular expression',
  ],
  ['a filter without its field', 'filters: [{type: CORS}]', 'has no cors'],
  [
    'a filter with another field',
    'filters: [{type: CORS, cors: {}, urlRewrite: {}}]',
    'stands in a filter CORS',
  ],
  [
    'a cookie that never ends',
    'sessionPersistence: {cookieConfig: {lifetimeType: Permanent}}',
    'needs an absoluteTimeout',
  ],
  [
    'a cookie that is a header',
    'sessionPersistence: {type: Header, cookieConfig: {}}',
    'stands beside the type Header',
  ],
  [
    'a filter twice',
    'filters: [{type: CORS, cors: {}}, {type: CORS, cors: {}}]',
    'two filters CORS',
  ],
  [
    'a redirect with backends',
    'filters: [{type: RequestRedirect, requestRedirect: {port: 1}}], backendRefs: [{name: a, port: 1}]',
    'beside a RequestRedirect',
  ],
  [
    'a prefix of two matches',
    'matches: [{}, {}], filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}}]',
    'exactly one match',
  ],
  ['a try longer than all', 'timeouts: {request: 1s, backendRequest: 2s}', 'longer than that'],
  ['a duration', 'timeouts: {request: 1.5s}', 'no duration'],
  ['a header value', 'matches: [{headers: [{name: a, value: " b"}]}]', 'no value of a header'],
  ['a kind', 'backendRefs: [{kind: "a b", name: a, port: 1}]', 'it is no kind'],
  ['a group', 'backendRefs: [{group: "A", kind: B, name: a, port: 1}]', 'it is no group'],
  [
    'a header that is set twice',
    'filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: a, value: b}, {name: a, value: c}]}}]',
    'there twice',
  ],
  [
    'half a percent',
    'filters: [{type: RequestMirror, requestMirror: {backendRef: {name: a, port: 1}, percent: 1, fraction: {numerator: 1}}}]',
    'percent stands beside fraction',
  ],
  [
    'a header twice',
    'matches: [{headers: [{name: a, value: b}, {name: a, value: c}]}]',
    'there twice',
  ],
])('an HTTPRoute with %s', (_, rules, message) => {
  const errors = http(rules);
  expect(errors.join('\n')).toContain(message);
  expect(errors).toHaveLength(1);
});

const parentErrors = (refs: string): string[] =>
  errorsOf('HTTPRoute', 'gateway.networking.k8s.io/v1', `parentRefs: [${refs}]`);

test('a parent that is named twice must differ in its port', () => {
  expect(parentErrors('{name: a, port: 1}, {name: a, port: 2}')).toEqual([]);
  expect(parentErrors('{name: a, port: 1}, {name: a, port: 1}')[0]).toContain('named twice');
  expect(parentErrors('{name: a}, {name: a, port: 1}')[0]).toContain('whole and in part');
});

test.each([
  ['neither service nor method', '{}', 'neither service nor method'],
  ['a name', '{service: a/b}', 'no name of a service'],
  ['an expression', '{type: RegularExpression, method: "("}', 'no regular expression'],
])('a GRPCRoute with %s', (_, method, message) => {
  const spec = `rules: [{matches: [{method: ${method}}]}]`;
  const errors = errorsOf('GRPCRoute', 'gateway.networking.k8s.io/v1', spec);
  expect(errors.join('\n')).toContain(message);
  expect(errors).toHaveLength(1);
});

test('no value of any field makes reading throw', () => {
  const key = fc.constantFrom(
    'hosts',
    'http',
    'match',
    'uri',
    'regex',
    'route',
    'destination',
    'host',
    'weight',
    'rules',
    'matches',
    'path',
    'value',
    'type',
    'filters',
    'backendRefs',
    'parentRefs',
    'name',
    'retries',
    'retryOn',
    'tls',
    'tcp',
    'from',
    'to',
  );
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof(
      { depthSize: 'medium', withCrossShrink: true },
      fc.constantFrom<unknown>('', '/a', '*', '(', 'Exact', 'URLRewrite', 0, -1, 1e9, null, true),
      fc.array(tie('tree'), { maxLength: 3 }),
      fc.dictionary(key, tie('tree'), { maxKeys: 4 }),
    ),
  }));
  const kinds = [
    ['VirtualService', 'networking.istio.io/v1'],
    ['HTTPRoute', 'gateway.networking.k8s.io/v1'],
    ['GRPCRoute', 'gateway.networking.k8s.io/v1'],
    ['ReferenceGrant', 'gateway.networking.k8s.io/v1'],
  ];
  fc.assert(
    fc.property(fc.constantFrom(...kinds), tree, ([kind, apiVersion], spec) => {
      const document = { apiVersion, kind, metadata: { name: 'a' }, spec };
      const { resources, problems } = loadText(JSON.stringify(document), 'f.yaml');
      const wrong = problems.some(({ severity }) => severity === 'error');
      expect(resources.length).toBe(wrong ? 0 : 1);
    }),
    { numRuns: 500 },
  );
});
