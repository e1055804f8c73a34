// The first layer of both directions: the head is checked, and its path and authority made normal.
import type { PathNormalization } from '#api/kinds/mesh-config.ts';
import { admitRequest, type RequestRefusal } from '#policy/request.ts';

import type { RequestView } from './exchange.ts';

const NO_HOSTS: readonly string[] = [];

/** Filled anew for each request: heads are admitted one at a time, and never across a wait. */
const raw = { method: '', rawTarget: '', hosts: NO_HOSTS, minor: 1, upgrade: '' };
const admitted = { path: '', authority: '' };

/** '' when the request may go on; its normal form is then what is forwarded. */
export function admitHead(
  request: RequestView,
  normalization: PathNormalization,
): RequestRefusal | '' {
  raw.method = request.method;
  raw.rawTarget = request.rawTarget;
  raw.hosts = request.values('host');
  raw.minor = request.minor;
  raw.upgrade = request.upgrade;
  const refusal = admitRequest(raw, normalization, admitted);
  if (refusal !== '') return refusal;
  if (request.path !== admitted.path) request.setPath(admitted.path);
  if (request.authority !== admitted.authority) request.setAuthority(admitted.authority);
  return '';
}
