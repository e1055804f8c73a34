// RequestAuthentication (security.istio.io/v1, v1beta1): which JSON web tokens are believed.
import { z } from 'zod';

import type { Resource } from '../resource.ts';
import { targetRef, workloadSelector } from './selector.ts';

export const jwtRule = z.object({
  issuer: z.string().default('').describe('The iss that tokens of this rule have.'),
  audiences: z
    .array(z.string())
    .optional()
    .describe('One of these must be in the aud of a token. Any, when left out.'),
  jwksUri: z.string().optional().describe('Where the keys that verify tokens are fetched from.'),
  jwks: z.string().optional().describe('The keys themselves, as a JSON Web Key Set.'),
  fromHeaders: z
    .array(
      z.object({
        name: z.string().describe('Name of the header.'),
        prefix: z.string().default('').describe('What comes before the token, as "Bearer ".'),
      }),
    )
    .optional()
    .describe('Headers with a token; Authorization with Bearer when no place is named.'),
  fromParams: z.array(z.string()).optional().describe('Parameters of the query with a token.'),
  fromCookies: z.array(z.string()).optional().describe('Cookies with a token.'),
  outputPayloadToHeader: z
    .string()
    .optional()
    .describe('Header that hands the payload to the application, base64url.'),
  outputClaimToHeaders: z
    .array(
      z.object({
        header: z.string().describe('Name of the header.'),
        claim: z.string().describe('Name of the claim; dots lead into nested ones.'),
      }),
    )
    .optional()
    .describe('Claims that are handed to the application in headers.'),
  forwardOriginalToken: z
    .boolean()
    .default(false)
    .describe('Whether the application gets the token too.'),
  /** Go duration; how long a fetch of jwksUri may take. */
  timeout: z.string().default('5s').describe('How long a fetch of jwksUri may take, as 5s.'),
  spaceDelimitedClaims: z
    .array(z.string())
    .optional()
    .describe('Claims that are lists of words, as scope is.'),
});

export const requestAuthenticationSpec = z.object({
  selector: workloadSelector.optional(),
  targetRef: targetRef.optional(),
  targetRefs: z.array(targetRef).optional().describe('Resources this is attached to.'),
  jwtRules: z
    .array(jwtRule)
    .default([])
    .describe('Issuers whose tokens are believed. A token that none of them verifies is refused.'),
});

export type JwtRule = z.infer<typeof jwtRule>;
export type RequestAuthenticationSpec = z.infer<typeof requestAuthenticationSpec>;
export type RequestAuthentication = Resource<'RequestAuthentication', RequestAuthenticationSpec>;
