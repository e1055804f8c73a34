// TokenExchange (selvage.dev/v1alpha1): which token a workload's calls carry on their way out (RFC 8693).
import { z } from 'zod';

import type { Resource } from '../resource.ts';
import { targetRef, workloadSelector } from './selector.ts';

const tokenTypes = ['access_token', 'refresh_token', 'id_token', 'saml1', 'saml2', 'jwt'] as const;

export const tokenExchangeSpec = z.object({
  selector: workloadSelector.optional(),
  targetRefs: z
    .array(targetRef)
    .optional()
    .describe('Services of the namespace: the workloads behind them, which call others.'),
  hosts: z
    .array(z.string())
    .min(1)
    .describe(
      'Hosts whose calls get the token: whole names, or *.example.com for all names below one.',
    ),
  tokenEndpoint: z
    .string()
    .describe('Address of the token endpoint. https, unless it is a service of the mesh.'),
  subject: z
    .object({
      from: z
        .enum(['request', 'file'])
        .default('request')
        .describe('request: the Bearer token of the call. file: a token of the workload’s own.'),
      file: z
        .string()
        .optional()
        .describe(
          'For file: where the sidecar has it, as a service account token that is projected for this audience.',
        ),
      type: z
        .enum(tokenTypes)
        .default('access_token')
        .describe('subject_token_type, the last word of its URN.'),
    })
    .prefault({})
    .describe('The token that is given in exchange.'),
  audience: z.string().optional().describe('audience: who the new token is for.'),
  resource: z.string().optional().describe('resource: the URI that the new token is for.'),
  scopes: z.array(z.string()).optional().describe('scope: what the new token is to allow.'),
  requestedTokenType: z
    .enum(tokenTypes)
    .optional()
    .describe('requested_token_type, the last word of its URN; the endpoint’s choice without it.'),
  client: z
    .object({
      id: z.string().min(1).describe('client_id.'),
      method: z
        .enum(['basic', 'post', 'private_key_jwt', 'none'])
        .default('basic')
        .describe('How the client authenticates itself to the endpoint.'),
      secretFile: z
        .string()
        .optional()
        .describe('For basic and post: file in the sidecar that has the secret.'),
      keyFile: z
        .string()
        .optional()
        .describe('For private_key_jwt: file in the sidecar that has the key, PKCS #8 in PEM.'),
      algorithm: z
        .enum(['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'EdDSA'])
        .default('RS256')
        .describe('For private_key_jwt: the algorithm of the signature.'),
      keyId: z.string().optional().describe('For private_key_jwt: the kid that names the key.'),
    })
    .optional()
    .describe('The client that asks. Without it none is named.'),
  timeout: z.string().default('5s').describe('How long a call waits for its token.'),
  onFailure: z
    .enum(['deny', 'allow'])
    .default('deny')
    .describe(
      'What becomes of calls for which there is no new token: 502 or 503, or they go as they are.',
    ),
  onMissing: z
    .enum(['deny', 'allow'])
    .default('allow')
    .describe('What becomes of calls without a token to exchange: 502, or they go as they are.'),
  cache: z
    .object({
      maxTokens: z
        .number()
        .int()
        .min(0)
        .max(100_000)
        .default(1000)
        .describe('Tokens that are kept; of more, those unused for longest go. 0: none is.'),
      skew: z.string().default('30s').describe('How long before its end a token counts as ended.'),
    })
    .prefault({})
    .describe('New tokens are kept until their end, for each token that was given.'),
});

export type TokenExchangeSpec = z.infer<typeof tokenExchangeSpec>;
export type TokenExchange = Resource<'TokenExchange', TokenExchangeSpec>;
