// HTTPRoute (gateway.networking.k8s.io v1, v1beta1): how HTTP calls of Services are routed (GAMMA).
import { z } from 'zod';

import type { Resource } from '../resource.ts';
import {
  duration,
  backendObjectRef,
  backendRefFields,
  filterFields,
  headerMatch,
  routeFields,
  ruleName,
  sessionPersistence,
  valueMatch,
} from './gateway-route.ts';

const methods = [
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'DELETE',
  'CONNECT',
  'OPTIONS',
  'TRACE',
  'PATCH',
] as const;
const port = z.number().int().min(1).max(65_535);
const hostname = z
  .string()
  .min(1)
  .max(253)
  .regex(
    /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/,
    'it is no host name: lower-case letters, digits, "-" and "."',
  );

const anyPath = { type: 'PathPrefix' as const, value: '/' };

const pathModifier = z.object({
  type: z
    .enum(['ReplaceFullPath', 'ReplacePrefixMatch'])
    .describe('Whether the whole path or the prefix that matched is replaced.'),
  replaceFullPath: z.string().max(1024).optional().describe('The new path.'),
  replacePrefixMatch: z.string().max(1024).optional().describe('In place of the prefix.'),
});

const cors = z.object({
  allowOrigins: z.array(z.string()).optional().describe('Origins that may read answers.'),
  allowCredentials: z.boolean().optional().describe('Whether cookies may be sent.'),
  allowMethods: z
    .array(z.enum([...methods, '*']))
    .optional()
    .describe('Methods for preflights.'),
  allowHeaders: z.array(z.string()).optional().describe('Request headers for preflights.'),
  exposeHeaders: z.array(z.string()).optional().describe('Response headers that may be read.'),
  maxAge: z.number().int().min(1).default(5).describe('Seconds that a preflight counts.'),
});

const externalAuth = z
  .looseObject({ protocol: z.enum(['HTTP', 'GRPC']), backendRef: backendObjectRef })
  .describe('Not served; use an AuthorizationPolicy with the action CUSTOM.');

export const httpFilter = z.object({
  type: z
    .enum([
      'RequestHeaderModifier',
      'ResponseHeaderModifier',
      'RequestMirror',
      'RequestRedirect',
      'URLRewrite',
      'ExtensionRef',
      'CORS',
      'ExternalAuth',
    ])
    .describe('Which of the fields beside it is meant.'),
  ...filterFields,
  requestRedirect: z
    .object({
      scheme: z.enum(['http', 'https']).optional().describe('The new scheme.'),
      hostname: hostname.optional().describe('The new host.'),
      path: pathModifier.optional().describe('The new path.'),
      port: port.optional().describe('The new port.'),
      statusCode: z
        .union([z.literal(301), z.literal(302), z.literal(303), z.literal(307), z.literal(308)])
        .default(302)
        .describe('Status of the answer.'),
    })
    .optional()
    .describe('Answer with a redirect.'),
  urlRewrite: z
    .object({
      hostname: hostname.optional().describe('The new host.'),
      path: pathModifier.optional().describe('The new path.'),
    })
    .optional()
    .describe('Changes of path and host.'),
  cors: cors.optional().describe('What pages of other origins may do.'),
  externalAuth: externalAuth.optional(),
});

const match = z.object({
  path: z
    .object({
      type: z
        .enum(['Exact', 'PathPrefix', 'RegularExpression'])
        .default('PathPrefix')
        .describe('How the path is compared; prefixes by whole segments.'),
      value: z.string().max(1024).default('/').describe('The path, without the query.'),
    })
    .default(anyPath)
    .describe('What the path is.'),
  headers: z.array(headerMatch).optional().describe('Headers that all must match.'),
  queryParams: z.array(valueMatch).optional().describe('Parameters of the query.'),
  method: z.enum(methods).optional().describe('The method.'),
});

const rule = z.object({
  name: ruleName,
  matches: z
    .array(match)
    .default([{ path: anyPath }])
    .describe('One of them must hold; none: every request.'),
  filters: z.array(httpFilter).optional().describe('What is done with requests and answers.'),
  backendRefs: z
    .array(
      z.object({
        ...backendRefFields,
        filters: z.array(httpFilter).optional().describe('For requests that go there.'),
      }),
    )
    .optional()
    .describe('Where requests go, by weight.'),
  timeouts: z
    .object({
      request: duration.optional().describe('For the whole exchange; 0s for none.'),
      backendRequest: duration.optional().describe('For each try; 0s for none.'),
    })
    .optional()
    .describe('How long answers may take.'),
  retry: z
    .object({
      codes: z.array(z.number().int().min(400).max(599)).optional().describe('Statuses.'),
      attempts: z.number().int().min(1).optional().describe('Further tries; 2 when left out.'),
      backoff: duration.optional().describe('First wait between tries.'),
    })
    .optional()
    .describe('What is tried again.'),
  sessionPersistence: sessionPersistence.optional(),
});

export const httpRouteSpec = z.object({
  ...routeFields,
  rules: z
    .array(rule)
    .default([{ matches: [{ path: anyPath }] }])
    .describe('The most specific match of all rules counts, wherever it is.'),
});

export type HttpRouteSpec = z.infer<typeof httpRouteSpec>;
export type HttpRouteRule = HttpRouteSpec['rules'][number];
export type HttpRouteMatch = HttpRouteRule['matches'][number];
export type HttpRouteFilter = z.infer<typeof httpFilter>;
export type PathModifier = z.infer<typeof pathModifier>;
export type HTTPRoute = Resource<'HTTPRoute', HttpRouteSpec>;
