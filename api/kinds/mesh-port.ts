// A port as Istio's MeshConfig has it.
import { z } from 'zod';

/** Protobuf's JSON takes a number in quotes as well, and Istio's own examples write it so. */
export const port = z.union([
  z.number().int().min(1).max(65535),
  z
    .string()
    .regex(/^\d{1,5}$/)
    .transform(Number),
]);
