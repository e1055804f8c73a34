// The http rules of a VirtualService: what they match, and what becomes of requests that match.
import { z } from 'zod';

const texts = z.record(z.string(), z.string());
export const portNumber = z.number().int().min(0).max(4_294_967_295);

/** Empty: in `headers` and `queryParams` "is there". */
export const stringMatch = z
  .object({
    exact: z.string().optional().describe('The whole text.'),
    prefix: z.string().optional().describe('How it begins.'),
    regex: z
      .string()
      .optional()
      .describe('An expression in the syntax of RE2, for the whole of it.'),
  })
  .describe('One of exact, prefix and regex.');

export const destination = z.object({
  host: z
    .string()
    .default('')
    .describe("The service; a short name means one of the rule's own namespace."),
  subset: z.string().optional().describe('Name of a subset in its DestinationRule.'),
  port: z
    .object({ number: portNumber.optional().describe('Number of the port.') })
    .optional()
    .describe('Port of the service; may be left out where it has one only.'),
});

const headerEdits = z.object({
  set: texts.optional().describe('Headers that take the place of those of the same name.'),
  add: texts.optional().describe('Headers that come beside those of the same name.'),
  remove: z.array(z.string()).optional().describe('Names of headers that are removed.'),
});

const messageEdits = z
  .object({
    request: headerEdits.optional().describe('Before the request is sent.'),
    response: headerEdits.optional().describe('Before the answer is passed on.'),
  })
  .describe('Changes of headers.');

const percent = z
  .object({ value: z.number().default(0).describe('From 0 to 100.') })
  .describe('A share of the requests.');

const match = z.object({
  name: z.string().optional().describe('Name of the match, added to that of the rule in logs.'),
  uri: stringMatch.optional().describe('The path, without the query.'),
  scheme: stringMatch.optional().describe('http or https.'),
  method: stringMatch.optional().describe('The method, as GET.'),
  authority: stringMatch.optional().describe('The host, with its port.'),
  headers: z
    .record(z.string(), stringMatch)
    .optional()
    .describe('Headers, by name; an empty match asks only whether it is there.'),
  withoutHeaders: z
    .record(z.string(), stringMatch)
    .optional()
    .describe('Headers that must not match, by name.'),
  queryParams: z
    .record(z.string(), stringMatch)
    .optional()
    .describe('Parameters of the query, by name.'),
  port: portNumber.optional().describe('The port that is called.'),
  ignoreUriCase: z.boolean().optional().describe('Exact and prefix matches of uri disregard case.'),
  sourceLabels: texts.optional().describe('Labels that the caller has.'),
  sourceNamespace: z.string().optional().describe('Namespace of the caller.'),
  gateways: z
    .array(z.string())
    .optional()
    .describe('Where it counts, in place of the gateways of the whole.'),
  statPrefix: z.string().optional().describe('Prefix of statistics; not used.'),
});

const httpDestination = z.object({
  destination: destination.optional().describe('Where requests go.'),
  weight: z.number().int().optional().describe('Its share, relative to the sum of all.'),
  headers: messageEdits.optional(),
});

const redirect = z.object({
  uri: z.string().optional().describe('The new path, whole.'),
  prefixRewrite: z.string().optional().describe('In place of the prefix that matched.'),
  authority: z.string().optional().describe('The new host.'),
  port: portNumber.optional().describe('The new port.'),
  derivePort: z
    .enum(['FROM_PROTOCOL_DEFAULT', 'FROM_REQUEST_PORT'])
    .optional()
    .describe('Where the port comes from, in place of a number.'),
  scheme: z.string().optional().describe('http or https.'),
  redirectCode: z.number().int().min(0).optional().describe('Status; 301 when left out.'),
});

const retries = z.object({
  attempts: z.number().int().optional().describe('Further tries; 0 for none.'),
  perTryTimeout: z.string().optional().describe('Time for each try, as 2s.'),
  retryOn: z
    .string()
    .optional()
    .describe("Envoy's conditions and status codes, with commas between them."),
  retryRemoteLocalities: z.boolean().optional().describe('Whether other localities may be tried.'),
  retryIgnorePreviousHosts: z
    .boolean()
    .optional()
    .describe('Whether endpoints that failed are avoided; true when left out.'),
  backoff: z.string().optional().describe('First wait between tries, as 25ms.'),
});

const fault = z.object({
  delay: z
    .object({
      percent: z.number().int().optional().describe('Old form of percentage.'),
      fixedDelay: z.string().optional().describe('How long, as 5s.'),
      exponentialDelay: z.string().optional().describe('Not supported.'),
      percentage: percent.optional(),
    })
    .optional()
    .describe('Requests wait first.'),
  abort: z
    .object({
      httpStatus: z.number().int().optional().describe('Status of the answer.'),
      grpcStatus: z.string().optional().describe('Status of gRPC, as UNAVAILABLE.'),
      http2Error: z.string().optional().describe('Not supported.'),
      percentage: percent.optional(),
    })
    .optional()
    .describe('Requests are answered at once.'),
});

const corsPolicy = z.object({
  allowOrigin: z.array(z.string()).optional().describe('Old form of allowOrigins.'),
  allowOrigins: z.array(stringMatch).optional().describe('Origins that may read answers.'),
  allowMethods: z.array(z.string()).optional().describe('Methods for preflights.'),
  allowHeaders: z.array(z.string()).optional().describe('Request headers for preflights.'),
  exposeHeaders: z.array(z.string()).optional().describe('Response headers that may be read.'),
  maxAge: z.string().optional().describe('How long a preflight counts, as 24h.'),
  allowCredentials: z.boolean().optional().describe('Whether cookies may be sent.'),
  unmatchedPreflights: z
    .enum(['UNSPECIFIED', 'FORWARD', 'IGNORE'])
    .optional()
    .describe('What becomes of preflights of other origins; FORWARD when left out.'),
});

export const httpRule = z.object({
  name: z.string().optional().describe('Name of the rule, in logs.'),
  match: z.array(match).optional().describe('One of them must hold; none: every request.'),
  route: z.array(httpDestination).optional().describe('Where requests go, by weight.'),
  redirect: redirect.optional().describe('Answer with a redirect.'),
  directResponse: z
    .object({
      status: z.number().int().min(0).describe('Status of the answer.'),
      body: z
        .object({
          string: z.string().optional().describe('As text.'),
          bytes: z.string().optional().describe('As base64.'),
        })
        .optional()
        .describe('Body of the answer.'),
    })
    .optional()
    .describe('Answer at once.'),
  delegate: z
    .object({
      name: z.string().default('').describe('Its name.'),
      namespace: z.string().optional().describe("Its namespace; the rule's own when left out."),
    })
    .optional()
    .describe('A VirtualService without hosts whose rules stand here.'),
  rewrite: z
    .object({
      uri: z.string().optional().describe('In place of the path, or of the prefix that matched.'),
      authority: z.string().optional().describe('In place of the host.'),
      uriRegexRewrite: z
        .object({
          match: z.string().optional().describe('An expression in the syntax of RE2.'),
          rewrite: z.string().optional().describe('What stands for it; \\1 for its groups.'),
        })
        .optional()
        .describe('In place of parts of the path.'),
    })
    .optional()
    .describe('Changes of path and host, before the request is sent.'),
  timeout: z.string().optional().describe('For the whole exchange, as 5s; none when left out.'),
  retries: retries.optional().describe('What is tried again; two further tries when left out.'),
  fault: fault.optional().describe('Faults that are made on purpose.'),
  mirror: destination.optional().describe('Gets a copy of requests; its answers are dropped.'),
  mirrors: z
    .array(
      z.object({
        destination: destination.optional().describe('Gets a copy of requests.'),
        percentage: percent.optional(),
      }),
    )
    .optional()
    .describe('As mirror, several.'),
  mirrorPercent: z.number().int().min(0).optional().describe('Old form of mirrorPercentage.'),
  mirrorPercentage: percent.optional(),
  corsPolicy: corsPolicy.optional().describe('What pages of other origins may do.'),
  headers: messageEdits.optional(),
});

export type StringMatch = z.infer<typeof stringMatch>;
export type DestinationSpec = z.infer<typeof destination>;
export type HttpRule = z.infer<typeof httpRule>;
export type HttpRuleMatch = z.infer<typeof match>;
export type MessageEditsSpec = z.infer<typeof messageEdits>;
export type RetriesSpec = z.infer<typeof retries>;
export type FaultSpec = z.infer<typeof fault>;
export type RedirectSpec = z.infer<typeof redirect>;
export type CorsPolicySpec = z.infer<typeof corsPolicy>;
