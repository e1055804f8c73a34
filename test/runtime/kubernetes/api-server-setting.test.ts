// Where the API server is, as settings say it.
import { expect, test } from 'vitest';

import { apiServer } from '#runtime/kubernetes/api-server-setting.ts';

test.each([
  [{ KUBERNETES_SERVICE_HOST: '10.96.0.1', KUBERNETES_SERVICE_PORT: '6443' }, '10.96.0.1:6443'],
  [{ KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '6443' }, '[fd00::1]:6443'],
  [{ KUBERNETES_SERVICE_HOST: '10.96.0.1' }, '10.96.0.1'],
])('in-cluster in %j is %s', (environment, host) => {
  expect(apiServer(environment)('in-cluster').host).toBe(host);
});

test('a URL is taken as it is, in a pod too', () => {
  const environment = { KUBERNETES_SERVICE_HOST: '10.96.0.1' };
  expect(apiServer(environment)('https://api.example:6443').host).toBe('api.example:6443');
});

test.each(['in-cluster', 'http://api.example', 'https://name:word@api.example', 'cluster'])(
  '%s is refused outside of a pod',
  (text) => {
    expect(() => apiServer({})(text)).toThrow('a URL');
  },
);
