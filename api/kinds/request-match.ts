// Which requests a rule of our own kinds is for, and how much of their bodies is read.
import { z } from 'zod';

export const values = (meaning: string) => z.array(z.string()).optional().describe(meaning);

export const requestMatch = z
  .object({
    paths: values('Paths without their query, normalised; {*} and {**} stand for segments.'),
    notPaths: values('Paths that do not match.'),
    methods: values('Methods of HTTP; for gRPC POST.'),
    hosts: values('Host of the request, without regard to case.'),
    headers: z
      .record(z.string(), z.array(z.string()))
      .optional()
      .describe('Values of headers by name, one of which each header must have; * is presence.'),
  })
  .describe('Fields of it must all match.');

export const requestMatches = z
  .array(requestMatch)
  .optional()
  .describe('Requests it is for; one of them must match. All, when left out.');

/** The largest body that is kept whole in memory. */
export const bodyBytes = z
  .number()
  .int()
  .min(1)
  .max(64 * 1024 * 1024)
  .default(1024 * 1024);

export type RequestMatch = z.infer<typeof requestMatch>;
