// PolicyTest (selvage.dev/v1alpha1): calls, and what the policies beside it must say about them.
import { z } from 'zod';

import type { Resource } from '../resource.ts';

export interface PolicyTestDocument extends Resource<'PolicyTest'> {
  /** The whole document as written. */
  readonly document: Readonly<Record<string, unknown>>;
}

/** One call. Strict: a misspelt field would test something else than it says. */
const policyTestCall = z.strictObject({
  /** Shown in the report; by default the call itself. */
  name: z.string().min(1).optional(),
  /** `namespace/service-account`, a whole identity `domain/ns/x/sa/y`, or `none`: plaintext. */
  from: z.string().min(1),
  /** `namespace/workload`. */
  to: z.string().min(1),
  /** The workload's own port; by default its first (TCP: its first that carries TCP). */
  port: z.number().int().min(1).max(65_535).optional(),
  method: z.string().min(1).optional(),
  path: z.string().min(1).optional(),
  /** By default the name of a Service that selects the workload. */
  host: z.string().optional(),
  /** A list of values makes as many lines. */
  headers: z.record(z.string(), z.union([z.string(), z.array(z.string())])).optional(),
  /** Claims of a token whose signature counts as good: `{ iss, sub, aud, … }`. */
  token: z.record(z.string(), z.unknown()).optional(),
  /** Where `selvage up --send` gets such a token, as the caller: a URL that answers `{ "token": … }`. */
  tokenFrom: z.url({ protocol: /^http$/ }).optional(),
  /** The client's address; by default 10.0.0.1. */
  ip: z.string().optional(),
  /** Bytes that are not HTTP. */
  tcp: z.boolean().optional(),
  /** What external authorizers answer; by default they refuse. */
  authorizer: z.enum(['allow', 'deny']).optional(),
});

const policyTestExpectation = z.enum(['allow', 'deny', 'unauthenticated', 'badrequest', 'closed']);

export const policyTestSpec = z.strictObject({
  calls: z
    .array(
      policyTestCall.extend({
        expect: policyTestExpectation,
        /** The policy that must decide: `namespace/policy`, and if it matters ` rule 0` behind it. */
        by: z
          .string()
          .regex(
            /^[^/\s]+\/[^/\s]+(?: rule \d+)?$/,
            'write "namespace/policy" or "namespace/policy rule 0"',
          )
          .optional(),
      }),
    )
    .min(1),
});

export type PolicyTestSpec = z.infer<typeof policyTestSpec>;
