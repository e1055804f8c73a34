// A filter: each tenant has its part of the API, and no answer shows a password. `tenants.test.ts` tests it by itself.
import type { OnRequest, OnResponse } from 'selvage/test';

const tenants: Readonly<Record<string, string>> = { 'key-of-ada': 'ada', 'key-of-grace': 'grace' };

export const onRequest: OnRequest = ({ path, headers }) => {
  const key = headers.find(([name]) => name === 'x-tenant-key')?.[1] ?? '';
  const tenant = Object.hasOwn(tenants, key) ? tenants[key] : undefined;
  if (tenant === undefined) {
    return { respond: { status: 401, headers: { 'content-type': 'text/plain' }, body: 'who?\n' } };
  }
  return {
    path: path.replace(/^\/tenants/, `/tenants/${tenant}`),
    headers: { remove: ['x-tenant-key'], set: { 'x-tenant': tenant } },
  };
};

export const onResponse: OnResponse = ({ body }) => ({
  headers: { remove: ['x-powered-by'] },
  body: new TextDecoder().decode(body).replaceAll(/"password":"[^"]*"/g, '"password":null'),
});
