// PeerAuthentication (security.istio.io/v1, v1beta1): whether a port takes plaintext, mutual TLS or both.
import { z } from 'zod';

import type { Resource } from '../resource.ts';
import { workloadSelector } from './selector.ts';

export const mtlsMode = z.enum(['UNSET', 'DISABLE', 'PERMISSIVE', 'STRICT']);
const mutualTls = z.object({
  mode: mtlsMode
    .default('UNSET')
    .describe('STRICT takes mutual TLS only, PERMISSIVE plaintext too, DISABLE plaintext only.'),
});

export const peerAuthenticationSpec = z.object({
  selector: workloadSelector.optional(),
  mtls: mutualTls.optional().describe('For all ports; UNSET is what the wider policy says.'),
  /** Keyed by the workload's port, as a string of digits. */
  portLevelMtls: z
    .record(z.string(), mutualTls)
    .optional()
    .describe("By the number of the workload's own port. Needs a selector."),
});

export type PeerAuthenticationSpec = z.infer<typeof peerAuthenticationSpec>;
export type PeerAuthentication = Resource<'PeerAuthentication', PeerAuthenticationSpec>;
