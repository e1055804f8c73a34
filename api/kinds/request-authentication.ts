// RequestAuthentication (security.istio.io/v1, v1beta1): which JSON web tokens are believed.
import { z } from 'zod';

import type { Resource } from '../resource.ts';
import { targetRef, workloadSelector } from './selector.ts';

export const jwtRule = z.object({
  issuer: z.string().default(''),
  audiences: z.array(z.string()).optional(),
  jwksUri: z.string().optional(),
  jwks: z.string().optional(),
  fromHeaders: z.array(z.object({ name: z.string(), prefix: z.string().default('') })).optional(),
  fromParams: z.array(z.string()).optional(),
  fromCookies: z.array(z.string()).optional(),
  outputPayloadToHeader: z.string().optional(),
  outputClaimToHeaders: z.array(z.object({ header: z.string(), claim: z.string() })).optional(),
  forwardOriginalToken: z.boolean().default(false),
  /** Go duration; how long a fetch of jwksUri may take. */
  timeout: z.string().default('5s'),
  spaceDelimitedClaims: z.array(z.string()).optional(),
});

export const requestAuthenticationSpec = z.object({
  selector: workloadSelector.optional(),
  targetRef: targetRef.optional(),
  targetRefs: z.array(targetRef).optional(),
  jwtRules: z.array(jwtRule).default([]),
});

export type JwtRule = z.infer<typeof jwtRule>;
export type RequestAuthenticationSpec = z.infer<typeof requestAuthenticationSpec>;
export type RequestAuthentication = Resource<'RequestAuthentication', RequestAuthenticationSpec>;
