// ResponseCache (selvage.dev/v1alpha1): answers that a workload need not give again (RFC 9111, a shared cache; RFC 5861).
import { z } from 'zod';

import type { Resource } from '../resource.ts';
import { bodyBytes, requestMatches } from './request-match.ts';
import { workloadTarget } from './selector.ts';

export const cacheRule = z.object({
  match: requestMatches,
  identity: z
    .boolean()
    .default(false)
    .describe(
      'Answers are kept apart by who calls: peer, token, credentials and cookies. Else requests with credentials or cookies share only what the application says all may share (public, s-maxage).',
    ),
  defaultTtl: z
    .string()
    .default('0s')
    .describe('How long an answer stays fresh that does not say it. 0s: it is not kept.'),
});

export const responseCacheSpec = z.object({
  ...workloadTarget,
  rules: z.array(cacheRule).min(1).describe('The first that matches a request holds.'),
  maxBytes: z
    .number()
    .int()
    .min(1024)
    .max(1024 * 1024 * 1024)
    .default(16 * 1024 * 1024)
    .describe(
      'What each thread of a sidecar keeps at most; of more, what was unused for longest goes.',
    ),
  maxBodyBytes: bodyBytes.describe('The largest body that is kept.'),
});

export type ResponseCacheSpec = z.infer<typeof responseCacheSpec>;
export type ResponseCache = Resource<'ResponseCache', ResponseCacheSpec>;
