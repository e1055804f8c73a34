// RateLimit (selvage.dev/v1alpha1): how often, or how many at once, callers may call a workload.
import { z } from 'zod';

import type { Resource } from '../resource.ts';
import { requestMatch, values } from './request-match.ts';
import { workloadTarget } from './selector.ts';

const positive = z.number().int().min(1).max(1_000_000_000);
const limitOf = positive.describe('Requests that are admitted.');
const rateOf = positive.describe('Requests that are admitted in each `per`, on average.');
const perOf = z
  .string()
  .default('1s')
  .describe('The time that `rate` is counted in, as 1s, 1m, 1h.');
const windowOf = z.string().default('1m').describe('Length of the window, as 10s, 1m, 1h.');

export const limitMatch = requestMatch
  .extend({
    headers: z
      .record(z.string(), z.array(z.string()).min(1))
      .optional()
      .describe('Values of headers by name, one of which each header must have; * is presence.'),
    principals: values(
      'Identities of peers, as cluster.local/ns/billing/sa/billing-sa. Needs mutual TLS.',
    ),
    namespaces: values('Namespaces of peers. Needs mutual TLS.'),
  })
  .describe('Fields of it must all match.');

export const limitKey = z
  .object({
    from: z
      .enum([
        'identity',
        'namespace',
        'header',
        'cookie',
        'claim',
        'apiKey',
        'remoteAddress',
        'path',
        'pathTemplate',
        'method',
        'host',
      ])
      .describe('What of a request it is counted by.'),
    name: z
      .string()
      .optional()
      .describe(
        'Name of the header, cookie or claim (nested: [realm][role]); for apiKey of the header, x-api-key where left out.',
      ),
    query: z
      .string()
      .optional()
      .describe('For apiKey: the query parameter that has it, in place of a header.'),
    depth: z
      .number()
      .int()
      .min(0)
      .max(32)
      .optional()
      .describe(
        'For remoteAddress: which address of X-Forwarded-For, counted from its end, as many as there are trusted proxies. 0, as where left out, is the TCP peer.',
      ),
    templates: values('For pathTemplate: the first that matches is counted as one path.'),
  })
  .describe('One part of the key.');

export const limit = z.object({
  name: z.string().min(1).describe('Names the limit in headers, metrics and logs.'),
  match: z
    .array(limitMatch)
    .optional()
    .describe('Requests it is for; one of them must match. All, when left out.'),
  key: z
    .array(limitKey)
    .optional()
    .describe(
      'Requests are counted apart by these together; what a request lacks counts as empty. All are counted as one, when left out.',
    ),
  tokenBucket: z
    .object({
      rate: rateOf,
      per: perOf,
      burst: positive
        .optional()
        .describe('Requests that are admitted at once after a rest. `rate` where left out.'),
    })
    .optional()
    .describe('An average rate with bursts; at most burst + rate x time in any time.'),
  leakyBucket: z
    .object({
      rate: rateOf,
      per: perOf,
      burst: z
        .number()
        .int()
        .min(0)
        .max(1_000_000)
        .default(0)
        .describe('Requests that may come before their turn.'),
      delay: z
        .boolean()
        .default(true)
        .describe('Those that come before their turn wait for it; else they pass at once.'),
    })
    .optional()
    .describe('An even rate (GCRA): each request has its turn.'),
  fixedWindow: z
    .object({ limit: limitOf, window: windowOf })
    .optional()
    .describe('A count that begins anew at each multiple of the window since 1970, UTC.'),
  slidingWindow: z
    .object({
      limit: limitOf,
      window: windowOf,
      precision: z
        .enum(['counter', 'exact'])
        .default('counter')
        .describe(
          'counter: two counts, the last window weighted by how much of it is still seen. exact: the time of each request; for limits up to 1000.',
        ),
    })
    .optional()
    .describe('A count of the window that ends now.'),
  concurrency: z
    .object({ limit: positive.describe('Requests that may be under way at once.') })
    .optional()
    .describe('How many requests may be under way.'),
  quota: z
    .object({
      limit: limitOf,
      per: z.enum(['day', 'week', 'month', 'year']).describe('Weeks begin on Monday.'),
      timeZone: z.enum(['UTC']).default('UTC').describe('Where midnight is taken from.'),
    })
    .optional()
    .describe('A count that begins anew with each period of the calendar.'),
  scope: z
    .enum(['local', 'shared'])
    .default('local')
    .describe('local: each pod counts for itself. shared: all of them together, in Redis.'),
  enforce: z.boolean().default(true).describe('false: only counted and reported, none refused.'),
  maxKeys: z
    .number()
    .int()
    .min(1)
    .max(1_000_000)
    .default(10_000)
    .describe(
      'Keys that a pod remembers; of more, those unused for longest are forgotten and begin anew.',
    ),
});

export const rateLimitSpec = z.object({
  ...workloadTarget,
  limits: z
    .array(limit)
    .min(1)
    .describe('All that match must admit a request; one that is refused uses up none of them.'),
  redis: z
    .object({
      address: z.string().min(1).describe('host:port of a Redis 7.'),
      tls: z.boolean().default(false).describe('TLS, verified by the public roots of the system.'),
      username: z.string().optional().describe('User of its access control list.'),
      passwordFile: z
        .string()
        .optional()
        .describe('File in the sidecar that has the password, as a Secret that is mounted there.'),
      timeout: z.string().default('20ms').describe('How long a request waits for Redis.'),
      onFailure: z
        .enum(['allow', 'deny'])
        .default('allow')
        .describe('What becomes of requests while Redis does not answer.'),
    })
    .optional()
    .describe('Where limits with scope shared are counted.'),
  response: z
    .object({
      status: z.number().int().min(400).max(599).default(429).describe('Status of refusals.'),
      body: z.string().default('Too Many Requests').describe('Text of refusals.'),
      headers: z
        .enum(['ietf', 'x-ratelimit', 'none'])
        .default('ietf')
        .describe(
          'How callers hear what is left: RateLimit and RateLimit-Policy, X-RateLimit-*, or not.',
        ),
    })
    .optional()
    .describe('What refused callers are told, and what all are told of their limits.'),
});

export type LimitMatch = z.infer<typeof limitMatch>;
export type LimitKey = z.infer<typeof limitKey>;
export type Limit = z.infer<typeof limit>;
export type RateLimitSpec = z.infer<typeof rateLimitSpec>;
export type RateLimit = Resource<'RateLimit', RateLimitSpec>;
