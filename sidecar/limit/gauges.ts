// What became of requests by each limit, for /stats/prometheus.
import type { Gauge } from '../telemetry/exposition.ts';
import { all, type CompiledLimits } from './compile.ts';
import type { LimitCounts } from './compiled-limit.ts';

const outcomes: readonly (readonly [keyof LimitCounts, string])[] = [
  ['allowed', 'allowed'],
  ['limited', 'limited'],
  ['wouldLimit', 'would_limit'],
  ['failedOpen', 'failed_open'],
  ['failedClosed', 'failed_closed'],
];

/** @param current what is in force at the time of a scrape */
export function limitGauges(current: () => CompiledLimits | null): Gauge[] {
  return [
    {
      name: 'selvage_limit_requests_total',
      help: 'Requests that a limit is for, by what it decided; would_limit: it is not enforced.',
      type: 'counter',
      read: () =>
        all(current()).flatMap(({ name, state }) =>
          outcomes.map(([field, outcome]) => ({
            labels: { ...labelsOf(name), outcome },
            value: state.counts[field],
          })),
        ),
    },
    {
      name: 'selvage_limit_keys_evicted_total',
      help: 'Keys that were forgotten while they counted, because maxKeys was reached.',
      type: 'counter',
      read: () =>
        all(current()).flatMap(({ name, state }) =>
          state.table === null ? [] : [{ labels: labelsOf(name), value: state.table.evicted }],
        ),
    },
  ];
}

function labelsOf(name: string): { namespace: string; rate_limit: string; limit: string } {
  const [namespace = '', resource = '', limit = ''] = name.split('/');
  return { namespace, rate_limit: resource, limit };
}
