import { expect, test } from 'vitest';

import { statusOf } from '#sidecar/upstream/outcome.ts';

test.each([
  [200, '', 200],
  [503, '', 503],
  [200, '0', 200],
  [200, '14', 503],
  [200, '4', 504],
  [200, '7', 403],
  [200, '99', 500],
])('an answer %d with grpc-status %o counts as %d', (status, grpcStatus, counted) => {
  expect(statusOf(status, grpcStatus)).toBe(counted);
});
