// CircuitBreaker (selvage.dev): callers of a host stop calling it for a while when an expression holds.
import { z } from 'zod';

import type { Resource } from '../resource.ts';

export const circuitBreakerSpec = z.object({
  host: z
    .string()
    .default('')
    .describe("What is called, as in DestinationRule; a short name is of the breaker's namespace."),
  expression: z
    .string()
    .default('')
    .describe('When it opens, as in: ResponseCodeRatio(500, 600, 0, 600) > 0.25'),
  checkPeriod: z.string().default('100ms').describe('How often the expression is looked at.'),
  fallbackDuration: z.string().default('10s').describe('How long nothing is called.'),
  recoveryDuration: z
    .string()
    .default('10s')
    .describe('How long a growing share is called after that.'),
  responseCode: z
    .number()
    .int()
    .min(100)
    .max(599)
    .default(503)
    .describe('Status of what is not called.'),
});

export type CircuitBreakerSpec = z.infer<typeof circuitBreakerSpec>;
export type CircuitBreaker = Resource<'CircuitBreaker', CircuitBreakerSpec>;
