// The route of the sidecar's own metrics, in the format that the scraper asks for.
import type { AdminRoute } from '#runtime/admin.ts';

import { formatFor, writePage } from '../telemetry/exposition.ts';
import type { Family } from '../telemetry/families.ts';

export function pageRoute(families: () => Promise<readonly Family[]>): AdminRoute {
  return {
    method: 'GET',
    path: '/stats/prometheus',
    doc: 'metrics; OpenMetrics with exemplars by Accept: application/openmetrics-text',
    handler: async (_query, _body, { accept = '' }) =>
      writePage(await families(), formatFor(accept)),
  };
}
