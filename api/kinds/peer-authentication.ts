// PeerAuthentication (security.istio.io/v1, v1beta1): whether a port takes plaintext, mutual TLS or both.
import { z } from 'zod';

import type { Resource } from '../resource.ts';
import { workloadSelector } from './selector.ts';

export const mtlsMode = z.enum(['UNSET', 'DISABLE', 'PERMISSIVE', 'STRICT']);
const mutualTls = z.object({ mode: mtlsMode.default('UNSET') });

export const peerAuthenticationSpec = z.object({
  selector: workloadSelector.optional(),
  mtls: mutualTls.optional(),
  /** Keyed by the workload's port, as a string of digits. */
  portLevelMtls: z.record(z.string(), mutualTls).optional(),
});

export type PeerAuthenticationSpec = z.infer<typeof peerAuthenticationSpec>;
export type PeerAuthentication = Resource<'PeerAuthentication', PeerAuthenticationSpec>;
