// ServiceAccount (v1): the name that a workload's identity carries.
import type { Resource } from '../resource.ts';

export type ServiceAccount = Resource<'ServiceAccount', Readonly<Record<string, never>>>;
