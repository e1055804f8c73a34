// What HTTPRoute and GRPCRoute of the Gateway API share: parents, backends, filters of headers, mirrors.
import { z } from 'zod';

/** The group of the Gateway API. */
export const gatewayGroup = 'gateway.networking.k8s.io';

const port = z.number().int().min(1).max(65_535);
const name = z.string().min(1).max(253);
const headerName = z
  .string()
  .min(1)
  .max(256)
  .regex(/^[A-Za-z0-9!#$%&'*+\-.^_`|~]+$/, 'it is no header name');

/** RFC 9110, as the Gateway API has it: visible characters with single blanks between them. */
const headerValue = z
  .string()
  .min(1)
  .max(4096)
  .regex(/^[!-~]+([\t ][!-~]+)*$/, 'it is no value of a header');
const group = z
  .string()
  .max(253)
  .regex(/^$|^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/, 'it is no group');
const kind = z
  .string()
  .max(63)
  .regex(/^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$/, 'it is no kind');

export const parentRef = z.object({
  group: group.default(gatewayGroup).describe('Group of the parent; "" for a Service.'),
  kind: kind.default('Gateway').describe('Kind of the parent, as Service.'),
  name: name.describe('Name of the parent.'),
  namespace: z.string().min(1).optional().describe("Its namespace; the route's when left out."),
  port: port.optional().describe('The only port of the Service that is routed.'),
  sectionName: z.string().min(1).optional().describe('A listener of a Gateway.'),
});

const backendObject = {
  group: group.default('').describe('Group of the backend; "" for a Service.'),
  kind: kind.default('Service').describe('Kind of the backend.'),
  name: name.describe('Name of the backend.'),
  namespace: z.string().min(1).optional().describe("Its namespace; the route's when left out."),
  port: port.optional().describe('Port of the Service.'),
};
export const backendObjectRef = z.object(backendObject);

/** With its share. */
export const backendRefFields = {
  ...backendObject,
  weight: z
    .number()
    .int()
    .min(0)
    .max(1_000_000)
    .default(1)
    .describe('Its share, relative to the sum of all.'),
};

const header = z.object({
  name: headerName.describe('Name of the header.'),
  value: headerValue.describe('Its value.'),
});

const headerFilter = z.object({
  set: z.array(header).optional().describe('Headers that take the place of those of that name.'),
  add: z.array(header).optional().describe('Headers that come beside those of that name.'),
  remove: z.array(z.string()).optional().describe('Names of headers that are removed.'),
});

const mirror = z.object({
  backendRef: backendObjectRef.describe('Gets a copy of requests.'),
  percent: z.number().int().min(0).max(100).optional().describe('Share of requests.'),
  fraction: z
    .object({
      numerator: z.number().int().min(0).describe('Of so many requests …'),
      denominator: z.number().int().min(1).default(100).describe('… out of so many.'),
    })
    .optional()
    .describe('Share of requests, finer.'),
});

/** The fields of a filter that both kinds have, beside `type`. */
export const filterFields = {
  requestHeaderModifier: headerFilter.optional().describe('Changes of request headers.'),
  responseHeaderModifier: headerFilter.optional().describe('Changes of response headers.'),
  requestMirror: mirror.optional().describe('A copy of requests for another backend.'),
  extensionRef: z
    .object({
      group: group.describe('Group of the extension.'),
      kind: kind.describe('Kind of the extension.'),
      name: name.describe('Name of the extension.'),
    })
    .optional()
    .describe("An implementation's own filter; Selvage has none."),
};

export const valueMatch = z.object({
  type: z
    .enum(['Exact', 'RegularExpression'])
    .default('Exact')
    .describe('How the value is compared.'),
  name: headerName.describe('Name.'),
  value: z.string().min(1).max(4096).describe('The value, or an expression in the syntax of RE2.'),
});

export const headerMatch = valueMatch.extend({
  value: headerValue.describe('The value, or an expression in the syntax of RE2.'),
});

export const duration = z
  .string()
  .regex(/^([0-9]{1,5}(h|m|s|ms)){1,4}$/, 'it is no duration: write it as 500ms, 10s or 1m30s');

/** Experimental in the Gateway API. */
export const sessionPersistence = z
  .object({
    sessionName: z
      .string()
      .min(1)
      .max(128)
      .regex(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/, 'it is no name of a cookie or header')
      .optional()
      .describe('Name of the cookie or header; made of the names of the route without.'),
    absoluteTimeout: duration.optional().describe('A session ends so long after its first call.'),
    idleTimeout: duration.optional().describe('A session ends after so long without a call.'),
    type: z
      .enum(['Cookie', 'Header'])
      .default('Cookie')
      .describe('Where the caller keeps it: in a cookie, or in a header that it sends back.'),
    cookieConfig: z
      .object({
        lifetimeType: z
          .enum(['Session', 'Permanent'])
          .default('Session')
          .describe('Permanent: the cookie has an age, which is absoluteTimeout.'),
      })
      .optional()
      .describe('Of the cookie.'),
  })
  .describe('Callers stay with the endpoint that answered their first call, while it is healthy.');

export const routeFields = {
  parentRefs: z.array(parentRef).default([]).describe('Services whose calls are routed.'),
  hostnames: z.array(z.string()).optional().describe('Without a meaning for Services.'),
  useDefaultGateways: z.enum(['All', 'None']).optional().describe('Without a meaning here.'),
};
export const ruleName = z
  .string()
  .min(1)
  .max(253)
  .optional()
  .describe('Name of the rule, in logs.');

export type SessionPersistence = z.infer<typeof sessionPersistence>;
export type ParentRef = z.infer<typeof parentRef>;
export type BackendObjectRef = z.infer<typeof backendObjectRef>;
export type HeaderFilter = z.infer<typeof headerFilter>;
export type MirrorFilter = z.infer<typeof mirror>;
export type ValueMatch = z.infer<typeof valueMatch>;
