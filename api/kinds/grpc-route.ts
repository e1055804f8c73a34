// GRPCRoute (gateway.networking.k8s.io v1, v1alpha2): how gRPC calls of Services are routed (GAMMA).
import { z } from 'zod';

import type { Resource } from '../resource.ts';
import {
  backendRefFields,
  filterFields,
  routeFields,
  ruleName,
  sessionPersistence,
  valueMatch,
} from './gateway-route.ts';

const filter = z.object({
  type: z
    .enum(['RequestHeaderModifier', 'ResponseHeaderModifier', 'RequestMirror', 'ExtensionRef'])
    .describe('Which of the fields beside it is meant.'),
  ...filterFields,
});

const match = z.object({
  method: z
    .object({
      type: z
        .enum(['Exact', 'RegularExpression'])
        .default('Exact')
        .describe('How service and method are compared.'),
      service: z.string().max(1024).optional().describe('Full name of the service.'),
      method: z.string().max(1024).optional().describe('Name of the method.'),
    })
    .optional()
    .describe('What is called; everything when left out.'),
  headers: z.array(valueMatch).optional().describe('Headers that all must match.'),
});

const rule = z.object({
  name: ruleName,
  matches: z.array(match).default([]).describe('One of them must hold; none: every call.'),
  filters: z.array(filter).optional().describe('What is done with calls and answers.'),
  backendRefs: z
    .array(
      z.object({
        ...backendRefFields,
        filters: z.array(filter).optional().describe('For calls that go there.'),
      }),
    )
    .optional()
    .describe('Where calls go, by weight.'),
  sessionPersistence: sessionPersistence.optional(),
});

export const grpcRouteSpec = z.object({
  ...routeFields,
  rules: z
    .array(rule)
    .default([])
    .describe('The most specific match of all rules counts, wherever it is.'),
});

export type GrpcRouteSpec = z.infer<typeof grpcRouteSpec>;
export type GrpcRouteRule = GrpcRouteSpec['rules'][number];
export type GrpcRouteMatch = GrpcRouteRule['matches'][number];
export type GRPCRoute = Resource<'GRPCRoute', GrpcRouteSpec>;
