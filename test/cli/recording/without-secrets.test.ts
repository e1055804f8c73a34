// Nothing that opens a door gets into a recording, even where a sidecar would tell it.
import { expect, test } from 'vitest';

import { withoutSecrets } from '#cli/recording/without-secrets.ts';

import { recorded } from './calls.ts';

test('credentials in headers and values of queries are cut', () => {
  const call = recorded({
    path: '/a?token=hunter2&page=2',
    facts: {
      headers: [
        ['authorization', 'Bearer hunter2'],
        ['cookie', 'session=hunter2'],
        ['x-session-token', 'hunter2'],
        ['x-forwarded-access', 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJodW50ZXIyIn0.hunter2'],
        ['x-other', 'Basic hunter2'],
        ['referer', 'https://a.example/?code=hunter2'],
        ['accept', 'text/html'],
      ],
    },
  });
  const text = JSON.stringify(withoutSecrets(call));
  expect(text).not.toMatch('hunter2');
  expect(text).toMatch('text/html');
  expect(withoutSecrets(call).path).toBe('/a?token=…&page=…');
});
