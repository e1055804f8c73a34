// What the API server can refuse by itself of our own kinds.
import type { SchemaAdditions } from './schema.ts';
import { targetsMax, rules, selector, target, host } from './shared-additions.ts';

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
  ['rules[].grpcJson.descriptorSet', { maxLength: 1_048_576 }],
  ['rules[].grpcJson.services', { maxItems: 64 }],
  [
    'rules[].request.path',
    rules({
      rule: '(has(self.replacePrefix)?1:0)+(has(self.replaceFull)?1:0)+(has(self.replaceRegex)?1:0)==1',
      message: 'a path has one edit: replacePrefix, replaceFull or replaceRegex',
    }),
  ],
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

export const ownAdditions: Readonly<Record<string, SchemaAdditions>> = {
  CircuitBreaker: circuitBreaker,
  HealthCheck: healthCheck,
  RateLimit: rateLimit,
  ApiKeyAuthentication: apiKeyAuthentication,
  TokenExchange: tokenExchange,
  Filter: filter,
  ResponseCache: responseCache,
  Transformation: transformation,
};
