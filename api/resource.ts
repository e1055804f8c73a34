// What every resource carries beside its spec: its name, and where it was written.
import { z } from 'zod';

/** Where a resource was written, for messages. */
export interface Origin {
  /** Path as the user gave it; of a resource of a cluster `Kind namespace/name`. */
  readonly file: string;
  /** Line of the document's first key, from 1; 0: it is in no file, but in a cluster. */
  readonly line: number;
  /** Line of each node, from 1, by its path: `spec.rules[0].from[0].source.principals[1]`. */
  readonly lines: Readonly<Record<string, number>>;
}

/** Kubernetes ObjectMeta, the fields that mean something here. */
export const objectMeta = z.object({
  name: z.string().min(1),
  namespace: z.string().min(1).default('default'),
  labels: z.record(z.string(), z.string()).default({}),
  annotations: z.record(z.string(), z.string()).default({}),
  /** RFC 3339; absent in files, where the order of documents stands for age. */
  creationTimestamp: z.string().optional(),
  /** Of the API server: tells two objects of one name from each other. */
  uid: z.string().optional(),
  /**
   * Grows with each change of the spec. There is no resourceVersion here: it grows with each status that is written as
   * well, and every sidecar would get every policy again.
   */
  generation: z.number().int().optional(),
});
export type ObjectMeta = z.infer<typeof objectMeta>;

/** A resource of any kind, its defaults filled in. */
export interface Resource<Kind extends string = string, Spec = unknown> {
  readonly apiVersion: string;
  readonly kind: Kind;
  readonly metadata: ObjectMeta;
  readonly spec: Spec;
  readonly origin?: Origin;
}
