// AdmissionReview (admission.k8s.io/v1) as the API server sends it and wants it answered.
import { z } from 'zod';

import type { PatchOperation } from './injection/json-patch.ts';

const groupVersion = z.looseObject({ group: z.string(), version: z.string() });

const request = z.looseObject({
  uid: z.string().min(1).max(256),
  kind: groupVersion.extend({ kind: z.string() }),
  operation: z.enum(['CREATE', 'UPDATE', 'DELETE', 'CONNECT']),
  name: z.string().nullish(),
  namespace: z.string().nullish(),
  dryRun: z.boolean().nullish(),
  object: z.unknown(),
  oldObject: z.unknown(),
});

const review = z.looseObject({
  apiVersion: z.literal('admission.k8s.io/v1'),
  kind: z.literal('AdmissionReview'),
  request,
});

export type AdmissionRequest = z.infer<typeof request>;

/** What becomes of a request. */
export interface Verdict {
  readonly allowed: boolean;
  /** Why it is refused, for the person at kubectl. */
  readonly message?: string;
  readonly warnings?: readonly string[];
  readonly patch?: readonly PatchOperation[];
}

/** A body that is no review of a version that we know. */
export class ReviewError extends Error {
  override readonly name = 'ReviewError';
}

/** @throws ReviewError */
export function readReview(text: string): AdmissionRequest {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new ReviewError(`the body is no JSON: ${String(error)}`, { cause: error });
  }
  const parsed = review.safeParse(value);
  if (parsed.success) return parsed.data.request;
  const [issue] = parsed.error.issues;
  const where = issue?.path.join('.') ?? '';
  throw new ReviewError(
    `the body is no AdmissionReview of admission.k8s.io/v1: ${where}: ${issue?.message ?? 'another shape is wanted'}`,
  );
}

/** kubectl shows warnings of up to 256 characters each, and 4 KiB in all. */
const warningLengthMax = 256;
const warningsMax = 16;
const messageLengthMax = 8 * 1024;

/** The answer as JSON. */
export function writeReview(uid: string, verdict: Verdict): string {
  const { allowed, message, warnings = [], patch = [] } = verdict;
  const encoded = Buffer.from(JSON.stringify(patch)).toString('base64');
  const status = {
    code: 403,
    reason: 'Forbidden',
    message: shortened(message ?? 'no reason given', messageLengthMax),
  };
  return JSON.stringify({
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    response: {
      uid,
      allowed,
      ...(!allowed && { status }),
      ...(allowed && patch.length > 0 && { patchType: 'JSONPatch', patch: encoded }),
      ...(warnings.length > 0 && {
        warnings: warnings
          .slice(0, warningsMax)
          .map((warning) => shortened(oneLine(warning), warningLengthMax)),
      }),
    },
  });
}

/** A warning travels as a header. */
function oneLine(text: string): string {
  return text.replaceAll(/\s*\n\s*/g, '; ');
}

function shortened(text: string, lengthMax: number): string {
  return text.length > lengthMax ? `${text.slice(0, lengthMax - 1)}…` : text;
}
