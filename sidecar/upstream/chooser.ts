// What a call needs of a cluster: an endpoint, and leave to ask it.
import type { Cluster } from './cluster.ts';

export type Chooser = Pick<
  Cluster,
  | 'pick'
  | 'kept'
  | 'at'
  | 'hashKey'
  | 'passthrough'
  | 'pool'
  | 'admit'
  | 'admitConnection'
  | 'beginRetry'
  | 'endRetry'
>;
