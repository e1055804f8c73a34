import { expect, test } from 'vitest';

import { pluralOf } from '#api/kinds/plural.ts';

test.each([
  ['AuthorizationPolicy', 'authorizationpolicies'],
  ['ServiceEntry', 'serviceentries'],
  ['Gateway', 'gateways'],
  ['EndpointSlice', 'endpointslices'],
])('the collection of %s is called %s', (kind, plural) => {
  expect(pluralOf(kind)).toBe(plural);
});
