// What the API server can refuse by itself, beyond the shapes: limits and CEL rules, by kind and path.
import type { SchemaAdditions } from './schema.ts';

interface CelRule {
  readonly rule: string;
  readonly message: string;
}

// The API server bounds the cost of rules by these lengths; resources in use are far below them.
const label = { maxLength: 63 };
const targetsMax = 16;

function rules(...list: readonly CelRule[]): { 'x-kubernetes-validations': readonly CelRule[] } {
  return { 'x-kubernetes-validations': list };
}

const oneAttachment: CelRule = {
  rule: '(has(self.selector)?1:0)+(has(self.targetRef)?1:0)+(has(self.targetRefs)&&self.targetRefs.size()>0?1:0)<=1',
  message: 'only one of selector and targetRefs may be set',
};

const selector: readonly (readonly [string, Record<string, unknown>])[] = [
  [
    'selector.matchLabels',
    {
      maxProperties: 4096,
      ...rules(
        {
          rule: "self.all(key, key != '')",
          message: 'a label of a selector has no name',
        },
        {
          rule: "self.all(key, !key.contains('*'))",
          message: 'selectors know no wildcards: write whole labels',
        },
      ),
    },
  ],
  [
    'selector.matchLabels{}',
    {
      ...label,
      ...rules({
        rule: "!self.contains('*')",
        message: 'selectors know no wildcards: write whole labels',
      }),
    },
  ],
];

const noNamespace = rules({
  rule: "self == ''",
  message: 'a targetRef may not name a namespace',
});

function target(path: string): [string, Record<string, unknown>][] {
  return [
    [`${path}.group`, { maxLength: 253, pattern: '^$|^[-.a-z0-9]+$' }],
    [`${path}.kind`, { minLength: 1, maxLength: 63, pattern: '^[a-zA-Z][-a-zA-Z0-9]*$' }],
    [`${path}.name`, { minLength: 1, maxLength: 253 }],
    [`${path}.namespace`, { maxLength: 253, ...noNamespace }],
  ];
}

const targets = [
  ...target('targetRef'),
  ['targetRefs', { maxItems: targetsMax }] as const,
  ...target('targetRefs[]'),
];

const authorizationPolicy: SchemaAdditions = new Map([
  [
    '',
    rules(
      oneAttachment,
      {
        rule: "(has(self.action) && self.action == 'CUSTOM') == has(self.provider)",
        message: 'the action CUSTOM needs a provider, and no other action has one',
      },
      {
        rule: "!has(self.action) || !(self.action in ['DENY', 'CUSTOM']) || (has(self.rules) && self.rules.size() > 0)",
        message:
          'a policy with the action DENY or CUSTOM and no rules never matches anything: add a rule',
      },
    ),
  ],
  ...selector,
  ...targets,
  ['rules', { maxItems: 512 }],
  ['rules[].from', { maxItems: 512 }],
  [
    'rules[].from[].source',
    rules({
      rule: '!(has(self.serviceAccounts) || has(self.notServiceAccounts)) || !(has(self.principals) || has(self.notPrincipals) || has(self.namespaces) || has(self.notNamespaces))',
      message: 'serviceAccounts say the namespace too: leave out principals and namespaces',
    }),
  ],
  ['rules[].from[].source.serviceAccounts', { maxItems: 16 }],
  ['rules[].from[].source.serviceAccounts[]', { maxLength: 320 }],
  ['rules[].from[].source.notServiceAccounts', { maxItems: 16 }],
  ['rules[].from[].source.notServiceAccounts[]', { maxLength: 320 }],
  ['rules[].when[].key', { minLength: 1 }],
]);

const requestAuthentication: SchemaAdditions = new Map([
  ['', rules(oneAttachment)],
  ...selector,
  ...targets,
  ['jwtRules', { maxItems: 4096 }],
  [
    'jwtRules[]',
    rules(
      {
        rule: '(has(self.issuer) && self.issuer.size() > 0) || (has(self.jwksUri) && self.jwksUri.size() > 0)',
        message: "a rule needs an issuer or a jwksUri: write the token's iss as the issuer",
      },
      {
        rule: '!has(self.jwks) || self.jwks.size() == 0 || !has(self.jwksUri) || self.jwksUri.size() == 0',
        message: 'only one of jwks and jwksUri may be set',
      },
    ),
  ],
  [
    'jwtRules[].timeout',
    rules({
      rule: "duration(self) >= duration('1ms')",
      message: 'a timeout is a duration of at least 1ms, as 5s',
    }),
  ],
  ['jwtRules[].jwksUri', { maxLength: 2048, pattern: '^$|^[hH][tT][tT][pP][sS]?://' }],
  ['jwtRules[].audiences[]', { minLength: 1 }],
  ['jwtRules[].fromParams[]', { minLength: 1 }],
  ['jwtRules[].fromCookies[]', { minLength: 1 }],
  ['jwtRules[].fromHeaders[].name', { minLength: 1 }],
  ['jwtRules[].outputClaimToHeaders[].header', { minLength: 1, pattern: '^[-_A-Za-z0-9]+$' }],
  ['jwtRules[].outputClaimToHeaders[].claim', { minLength: 1 }],
]);

const peerAuthentication: SchemaAdditions = new Map([
  [
    '',
    rules({
      rule: '!has(self.portLevelMtls) || self.portLevelMtls.size() == 0 || (has(self.selector) && has(self.selector.matchLabels) && self.selector.matchLabels.size() > 0)',
      message: 'portLevelMtls needs a selector: ports are those of one workload',
    }),
  ],
  ...selector,
  [
    'portLevelMtls',
    {
      ...rules({
        rule: 'self.all(key, 0 < int(key) && int(key) <= 65535)',
        message: "portLevelMtls is keyed by numbers of the workload's ports, from 1 to 65535",
      }),
    },
  ],
]);

const extension: readonly (readonly [string, Record<string, unknown>])[] = [
  [
    '',
    rules({
      rule: '!has(self.selector) || !has(self.targetRefs) || self.targetRefs.size() == 0',
      message: 'only one of selector and targetRefs may be set',
    }),
  ],
  ...selector,
  ['targetRefs', { maxItems: targetsMax }],
  ...target('targetRefs[]'),
];

const rateLimit: SchemaAdditions = new Map<string, Record<string, unknown>>([
  ...extension,
  ['limits', { maxItems: 64 }],
  [
    'limits[]',
    rules({
      rule: '(has(self.tokenBucket)?1:0)+(has(self.leakyBucket)?1:0)+(has(self.fixedWindow)?1:0)+(has(self.slidingWindow)?1:0)+(has(self.concurrency)?1:0)+(has(self.quota)?1:0)==1',
      message:
        'a limit has one algorithm: tokenBucket, leakyBucket, fixedWindow, slidingWindow, concurrency or quota',
    }),
  ],
  ['limits[].name', { maxLength: 63, pattern: '^[a-zA-Z0-9][-a-zA-Z0-9_.]*$' }],
  ['limits[].match', { maxItems: 64 }],
  ['limits[].key', { maxItems: 16 }],
]);

const apiKeyAuthentication: SchemaAdditions = new Map<string, Record<string, unknown>>([
  ...extension,
  ['match', { maxItems: 64 }],
  ['from', { maxItems: 16 }],
  [
    'from[]',
    rules({
      rule: '(has(self.header)?1:0)+(has(self.query)?1:0)+(has(self.cookie)?1:0)==1',
      message: 'a place is one of header, query and cookie',
    }),
  ],
  ['consumers', { maxItems: 10_000 }],
  ['consumers[].name', { maxLength: 253 }],
  ['consumers[].hashes', { maxItems: 16 }],
  ['consumers[].hashes[]', { pattern: '^[0-9a-fA-F]{64}$' }],
  ['secrets', { maxItems: 16 }],
  ['secrets[].name', { maxLength: 253 }],
]);

const tokenExchange: SchemaAdditions = new Map<string, Record<string, unknown>>([
  ...extension,
  ['hosts', { maxItems: 256 }],
  [
    'hosts[]',
    {
      maxLength: 253,
      ...rules({ rule: "self != '*'", message: 'a host may not be * alone: name what is called' }),
    },
  ],
  ['scopes', { maxItems: 64 }],
]);

const filter: SchemaAdditions = new Map<string, Record<string, unknown>>([
  [
    '',
    rules(
      {
        rule: '!has(self.selector) || !has(self.targetRefs) || self.targetRefs.size() == 0',
        message: 'only one of selector and targetRefs may be set',
      },
      {
        rule: 'has(self.source) && !has(self.file)',
        message: 'a cluster knows no files: write the text of the filter as source',
      },
    ),
  ],
  ...extension.slice(1),
  ['match', { maxItems: 64 }],
  ['source', { minLength: 1, maxLength: 262144 }],
]);

const responseCache: SchemaAdditions = new Map<string, Record<string, unknown>>([
  ...extension,
  ['rules', { maxItems: 256 }],
  ['rules[].match', { maxItems: 64 }],
]);

const transformation: SchemaAdditions = new Map<string, Record<string, unknown>>([
  ...extension,
  ['rules', { maxItems: 256 }],
  ['rules[].match', { maxItems: 64 }],
  [
    'rules[].request.path',
    rules({
      rule: '(has(self.replacePrefix)?1:0)+(has(self.replaceFull)?1:0)+(has(self.replaceRegex)?1:0)==1',
      message: 'a path has one edit: replacePrefix, replaceFull or replaceRegex',
    }),
  ],
]);

const serviceEntry: SchemaAdditions = new Map<string, Record<string, unknown>>([
  [
    '',
    rules(
      {
        rule: '!has(self.workloadSelector) || !has(self.endpoints)',
        message: 'only one of workloadSelector and endpoints may be set',
      },
      {
        rule: "!has(self.endpoints) || (has(self.resolution) && self.resolution != 'NONE')",
        message: 'with the resolution NONE there are no endpoints: write STATIC or DNS',
      },
    ),
  ],
  ['hosts', { maxItems: 256 }],
  [
    'hosts[]',
    rules({ rule: "self != '*'", message: 'a host may not be * alone: name what is called' }),
  ],
  ['addresses', { maxItems: 256 }],
  ['addresses[]', { maxLength: 64 }],
  ['ports', { maxItems: 256 }],
  ['endpoints', { maxItems: 4096 }],
]);

const host = { minLength: 1, maxLength: 255 };

const destinationRule: SchemaAdditions = new Map<string, Record<string, unknown>>([
  ['host', host],
  ['subsets', { maxItems: 4096 }],
  ['subsets[].name', { minLength: 1 }],
  [
    'workloadSelector.matchLabels',
    {
      maxProperties: 4096,
      ...rules({
        rule: "self.all(key, !key.contains('*'))",
        message: 'selectors know no wildcards: write whole labels',
      }),
    },
  ],
  ['workloadSelector.matchLabels{}', label],
]);

const circuitBreaker: SchemaAdditions = new Map<string, Record<string, unknown>>([
  ['host', host],
  ['expression', { minLength: 1, maxLength: 1000 }],
]);

const healthCheck: SchemaAdditions = new Map<string, Record<string, unknown>>([
  [
    '',
    rules({
      rule: '(has(self.http)?1:0)+(has(self.tcp)?1:0)+(has(self.grpc)?1:0)==1',
      message: 'a HealthCheck has one of http, tcp and grpc',
    }),
  ],
  ['host', host],
  ['http.expectedStatuses[]', { 'x-kubernetes-int-or-string': true }],
]);

/** By kind. */
export const additions: Readonly<Record<string, SchemaAdditions>> = {
  AuthorizationPolicy: authorizationPolicy,
  RequestAuthentication: requestAuthentication,
  PeerAuthentication: peerAuthentication,
  ServiceEntry: serviceEntry,
  DestinationRule: destinationRule,
  CircuitBreaker: circuitBreaker,
  HealthCheck: healthCheck,
  RateLimit: rateLimit,
  ApiKeyAuthentication: apiKeyAuthentication,
  TokenExchange: tokenExchange,
  Filter: filter,
  ResponseCache: responseCache,
  Transformation: transformation,
};
