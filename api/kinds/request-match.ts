// Which requests a rule of our own kinds is for.
import { z } from 'zod';

const values = (meaning: string) => z.array(z.string()).optional().describe(meaning);

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

export type RequestMatch = z.infer<typeof requestMatch>;
