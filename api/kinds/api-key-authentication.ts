// ApiKeyAuthentication (selvage.dev/v1alpha1): which API keys callers of a workload are known by.
import { z } from 'zod';

import type { Resource } from '../resource.ts';
import { requestMatch, values } from './request-match.ts';
import { workloadTarget } from './selector.ts';

export const apiKeyMatch = requestMatch
  .omit({ headers: true })
  .extend({ notPaths: values('Paths that need no key.') })
  .describe('Fields of it must all match.');

export const apiKeyPlace = z
  .object({
    header: z.string().optional().describe('Name of a header.'),
    prefix: z
      .string()
      .optional()
      .describe('Of a header: what comes before the key, as "ApiKey ". Without it, no key.'),
    query: z.string().optional().describe('Name of a parameter of the query.'),
    cookie: z.string().optional().describe('Name of a cookie.'),
  })
  .describe('One place where a key may be: a header, a parameter of the query or a cookie.');

export const apiKeyConsumer = z.object({
  name: z.string().min(1).describe('What the caller is called in headers, limits and logs.'),
  hashes: z
    .array(z.string())
    .default([])
    .describe('SHA-256 of each of its keys, in hexadecimal: several while keys are changed.'),
});

export const apiKeyAuthenticationSpec = z.object({
  ...workloadTarget,
  match: z
    .array(apiKeyMatch)
    .optional()
    .describe('Requests that need a key; one of them must match. All, when left out.'),
  from: z
    .array(apiKeyPlace)
    .optional()
    .describe(
      'Where the key is; the first place that has one counts. The headers x-api-key and apikey, when left out.',
    ),
  consumers: z.array(apiKeyConsumer).default([]).describe('Callers and the hashes of their keys.'),
  secrets: z
    .array(z.object({ name: z.string().min(1).describe('Name of a Secret of the namespace.') }))
    .optional()
    .describe(
      'Secrets with the label selvage.dev/api-keys: "true", which have a key for each caller: its name, then the key. Control hashes them; sidecars never get a key.',
    ),
  optional: z
    .boolean()
    .default(false)
    .describe('Requests without a key pass, unknown to all; those with a wrong one do not.'),
  forwardConsumerHeader: z
    .string()
    .default('x-consumer')
    .describe(
      'Header that tells policies and the application who calls. What clients send in it is cut; "" for none.',
    ),
  hideKey: z.boolean().default(false).describe('Cuts the key from what the application gets.'),
});

/** By this label the owner of a Secret says that control may hash what is in it. */
export const apiKeysLabel = 'selvage.dev/api-keys';

export type ApiKeyMatch = z.infer<typeof apiKeyMatch>;
export type ApiKeyPlace = z.infer<typeof apiKeyPlace>;
export type ApiKeyConsumer = z.infer<typeof apiKeyConsumer>;
export type ApiKeyAuthenticationSpec = z.infer<typeof apiKeyAuthenticationSpec>;
export type ApiKeyAuthentication = Resource<'ApiKeyAuthentication', ApiKeyAuthenticationSpec>;
