// What the API server can refuse by itself, beyond the shapes: limits and CEL rules, by kind and path.
import { ownAdditions } from './own-additions.ts';
import type { SchemaAdditions } from './schema.ts';
import { label, rules, oneAttachment, selector, targets, host } from './shared-additions.ts';

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

const telemetry: SchemaAdditions = new Map<string, Record<string, unknown>>([
  ['', rules(oneAttachment)],
  ...selector,
  ...targets,
  ['tracing[].providers', { maxItems: 1 }],
  ['tracing[].randomSamplingPercentage', { minimum: 0, maximum: 100 }],
  [
    'tracing[].customTags{}',
    rules({
      rule: '(has(self.literal)?1:0)+(has(self.environment)?1:0)+(has(self.header)?1:0)+(has(self.formatter)?1:0)==1',
      message: 'a tag has one of literal, environment, header and formatter',
    }),
  ],
]);

export const additions: Readonly<Record<string, SchemaAdditions>> = {
  AuthorizationPolicy: authorizationPolicy,
  RequestAuthentication: requestAuthentication,
  PeerAuthentication: peerAuthentication,
  ServiceEntry: serviceEntry,
  Telemetry: telemetry,
  DestinationRule: destinationRule,
  ...ownAdditions,
};
