// Filter (selvage.dev/v1alpha1): a layer of the user's own, in TypeScript, on the way of a workload's requests.
import { z } from 'zod';

import type { Resource } from '../resource.ts';
import { bodyBytes, requestMatches } from './request-match.ts';
import { workloadTarget } from './selector.ts';

export const filterSpec = z.object({
  ...workloadTarget,
  match: requestMatches,
  file: z
    .string()
    .optional()
    .describe('A .ts file beside this one, in a local mesh. A cluster wants its text as source.'),
  source: z
    .string()
    .optional()
    .describe(
      'TypeScript that exports onRequest, onResponse or both. It imports only node: modules.',
    ),
  requestBody: z.boolean().default(false).describe('onRequest gets the body too.'),
  responses: z
    .boolean()
    .default(false)
    .describe('onResponse is asked about answers, whole. Streams (gRPC, events) pass by.'),
  maxBodyBytes: bodyBytes.describe(
    'The largest body that it gets. Larger requests are refused with 413.',
  ),
  timeout: z
    .string()
    .default('100ms')
    .describe('What one call may take; the thread ends if it takes more.'),
  memoryMiB: z.number().int().min(8).max(1024).default(32).describe('What its thread may use.'),
  onFailure: z
    .enum(['refuse', 'pass'])
    .default('refuse')
    .describe(
      'What becomes of a request or answer when the filter throws, is late or gives nonsense.',
    ),
});

export type FilterSpec = z.infer<typeof filterSpec>;
export type Filter = Resource<'Filter', FilterSpec>;
