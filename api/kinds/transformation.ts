// Transformation (selvage.dev/v1alpha1): what a workload's requests and answers become on their way.
import { z } from 'zod';

import type { Resource } from '../resource.ts';
import { bodyBytes, requestMatches } from './request-match.ts';
import { workloadTarget } from './selector.ts';

const texts = (meaning: string) => z.record(z.string(), z.string()).optional().describe(meaning);
const names = (meaning: string) => z.array(z.string()).optional().describe(meaning);

const headerEdits = z.object({
  set: texts("Values by name, in place of those that are there. Envoy's %REQ(name)% and so on."),
  add: texts('Values by name, beside those that are there.'),
  remove: names('Names.'),
});

const pathEdit = z.object({
  replacePrefix: z
    .object({
      prefix: z.string().describe('Whole segments, as /v1. Other paths are left as they are.'),
      with: z.string().default('').describe('What stands there then; nothing, when left out.'),
    })
    .optional()
    .describe('Strips a prefix, or puts another in its place.'),
  replaceFull: z.string().optional().describe('The whole path; the query stays.'),
  replaceRegex: z
    .object({
      match: z.string().min(1).describe("In RE2's syntax, of the path without its query."),
      substitution: z.string().default('').describe('For each match; \\1 is its first group.'),
    })
    .optional()
    .describe('Replaces what a regular expression matches.'),
});

const queryEdits = z.object({
  set: texts('Values by name, not encoded, in place of those that are there.'),
  add: texts('Values by name, not encoded, behind those that are there.'),
  remove: names('Names, not encoded.'),
});

export const jsonEdits = z.object({
  remove: names('Fields, as user.password or items[].secret.'),
  rename: z
    .array(
      z.object({
        from: z.string().describe('A field, as items[].id.'),
        to: z.string().describe('Its new name; a field of that name is replaced.'),
      }),
    )
    .optional()
    .describe('Fields and their new names.'),
  whenUnreadable: z
    .enum(['pass', 'refuse'])
    .default('pass')
    .describe(
      'What becomes of a body that cannot be edited: encoded (gzip), or not the JSON that its type says. pass: untouched.',
    ),
});

export const convertEdit = z.object({
  to: z.enum(['json', 'xml']).describe('What it becomes; bodies that are neither type stay.'),
  root: z
    .string()
    .default('root')
    .describe('Of XML: the element around what is not one field of an object.'),
  whenUnreadable: z
    .enum(['pass', 'refuse'])
    .default('pass')
    .describe('What becomes of a body that cannot be converted. pass: untouched.'),
});

export const grpcJson = z.object({
  descriptorSet: z
    .string()
    .min(1)
    .describe('A FileDescriptorSet with all imports in base64: protoc --include_imports.'),
  services: z.array(z.string()).min(1).describe('Full names, as shop.v1.Orders.'),
  ignoreUnknown: z
    .boolean()
    .default(false)
    .describe('Fields and query parameters that the message has not are left out, not refused.'),
});

export const transformationRule = z.object({
  match: requestMatches,
  grpcJson: grpcJson
    .optional()
    .describe(
      'Calls of JSON become calls of gRPC (unary ones), by google.api.http or POST /pkg.Service/Method, after the edits of the request and before those of the response. Other requests pass, policies see all as they came. A body over maxBodyBytes is refused.',
    ),
  request: z
    .object({
      headers: headerEdits.optional().describe('Edits of the head.'),
      path: pathEdit.optional().describe('One edit of the path.'),
      query: queryEdits.optional().describe('Edits of the query.'),
      json: jsonEdits
        .optional()
        .describe('Edits of a JSON body. One over maxBodyBytes is refused with 413.'),
      convert: convertEdit
        .optional()
        .describe('Turns XML into JSON before the edits of JSON, or JSON into XML after them.'),
    })
    .optional()
    .describe('What the application gets.'),
  response: z
    .object({
      headers: headerEdits.optional().describe('Edits of the head.'),
      json: jsonEdits
        .optional()
        .describe('Edits of a JSON body. One over maxBodyBytes is as one that cannot be read.'),
      convert: convertEdit
        .optional()
        .describe('Turns XML into JSON before the edits of JSON, or JSON into XML after them.'),
    })
    .optional()
    .describe('What the caller gets.'),
});

export const transformationSpec = z.object({
  ...workloadTarget,
  rules: z
    .array(transformationRule)
    .min(1)
    .describe('Each that matches the request as it came is applied, in order.'),
  maxBodyBytes: bodyBytes.describe('The largest body that is read to be edited.'),
});

export type HeaderEditsSpec = z.infer<typeof headerEdits>;
export type PathEditSpec = z.infer<typeof pathEdit>;
export type QueryEditsSpec = z.infer<typeof queryEdits>;
export type GrpcJsonSpec = z.infer<typeof grpcJson>;
export type ConvertSpec = z.infer<typeof convertEdit>;
export type JsonEditsSpec = z.infer<typeof jsonEdits>;
export type TransformationRule = z.infer<typeof transformationRule>;
export type TransformationSpec = z.infer<typeof transformationSpec>;
export type Transformation = Resource<'Transformation', TransformationSpec>;
