// Every resource of the test data against our CRDs in a real API server, with no webhook of ours to help them.
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';

import { validateResource } from '#api/read-resource.ts';
import { objectPath, untilEstablished } from '#cli/install/apply.ts';
import { crdObjects } from '#cli/install/objects.ts';
import { createKubeClient, type KubeClient } from '#runtime/kubernetes/client.ts';
import { KubeError } from '#runtime/kubernetes/kube-error.ts';

import { readCases } from '../../data/cases.ts';
import { reachedApiServer } from './api-server.ts';

interface Document {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}

const root = join(import.meta.dirname, '../../..');
const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
/** With the version that comes first. */
const kinds = new Map(
  crdObjects().map(({ spec }) => {
    const { names, group, versions } = spec as {
      names: { kind: string };
      group: string;
      versions: { name: string }[];
    };
    return [names.kind, `${group}/${versions[0]?.name}`];
  }),
);
const bothNames = { serviceAccounts: ['a/b'], namespaces: ['c'] };
const bothKeys = { jwks: '{}', jwksUri: 'https://a.b/' };
const access = await reachedApiServer();

describe.skipIf(access === null)('our CRDs in a real API server', () => {
  let client: KubeClient;
  const namespace = `crds-${randomBytes(3).toString('hex')}`;
  /** Those that were not there before. */
  const made: string[] = [];

  beforeAll(async () => {
    client = createKubeClient(access!);
    await client.create('/api/v1/namespaces', { metadata: { name: namespace } });
    for (const crd of crdObjects()) {
      await client
        .create(definitions, crd)
        .then(() => made.push(crd.metadata.name))
        .catch((error: unknown) => {
          if (!(error instanceof KubeError) || error.reason !== 'AlreadyExists') throw error;
        });
      await untilEstablished(client, crd);
    }
  });
  afterAll(async () => {
    for (const name of made) await client.delete(`${definitions}/${name}`);
    await client.delete(`/api/v1/namespaces/${namespace}`);
    await client.close();
  });

  /** Null: it would be stored. */
  async function refusal(document: Document): Promise<string | null> {
    const metadata = { labels: {}, ...document.metadata, namespace, name: 'in-test' };
    const object = { ...document, metadata };
    const path = objectPath(object).replace(/\/in-test$/, '');
    try {
      await client.create(path, object, { dryRun: 'All', fieldValidation: 'Ignore' });
      return null;
    } catch (error) {
      if (error instanceof KubeError && error.status === 422) return error.message;
      throw error;
    }
  }

  test('what istiod takes is taken', async () => {
    const taken = recorded(true);
    expect(taken.length).toBeGreaterThan(500);
    expect(await refusedOf(taken)).toEqual([]);
  });

  test('the policies of the example and of the test data are taken', async () => {
    const folders = ['shop', 'destinations', 'edge'].map((name) => `manifests/examples/${name}`);
    const documents = [...folders, 'test/data/shop'].flatMap(documentsIn);
    expect(documents.length).toBeGreaterThan(5);
    expect(await refusedOf(documents)).toEqual([]);
  });

  test('a part of what selvage check refuses is refused without the webhook too', async () => {
    const wrong = recorded(false).filter((document) =>
      validateResource({ value: document }).some(({ severity }) => severity === 'error'),
    );
    const refused = await refusedOf(wrong);
    console.log(`${refused.length} of ${wrong.length} are refused by the definitions alone`);
    expect(refused.length).toBeGreaterThan(0);
  });

  const selector = { matchLabels: { app: 'web' } };
  const rule = { issuer: 'a' };
  test.each([
    ['AuthorizationPolicy', { action: 'CUSTOM', rules: [{}] }, 'needs a provider'],
    ['AuthorizationPolicy', { selector, targetRefs: [{ kind: 'A', name: 'b' }] }, 'only one of'],
    ['AuthorizationPolicy', { rules: [{ from: [{ source: bothNames }] }] }, 'say the namespace'],
    ['PeerAuthentication', { portLevelMtls: { 80: { mode: 'STRICT' } } }, 'needs a selector'],
    ['PeerAuthentication', { selector, portLevelMtls: { 70000: {} } }, 'from 1 to 65535'],
    ['RequestAuthentication', { jwtRules: [{ ...rule, timeout: '0s' }] }, 'at least 1ms'],
    ['RequestAuthentication', { jwtRules: [{ ...rule, ...bothKeys }] }, 'only one of jwks'],
    ['ServiceEntry', { hosts: ['*'] }, 'may not be *'],
    ['ApiKeyAuthentication', { from: [{ header: 'a', cookie: 'b' }] }, 'one of header, query'],
    ['ApiKeyAuthentication', { consumers: [{ name: 'a', hashes: ['key'] }] }, 'should match'],
    ['TokenExchange', { tokenEndpoint: 'https://a/', hosts: ['*'] }, 'may not be *'],
    ['ServiceEntry', { hosts: ['a.b'], endpoints: [{ address: '1.2.3.4' }] }, 'write STATIC'],
    ['DestinationRule', { host: '' }, 'spec.host'],
    [
      'DestinationRule',
      { host: 'a', workloadSelector: { matchLabels: { 'a*': 'b' } } },
      'wildcards',
    ],
    ['CircuitBreaker', { host: 'a', expression: '' }, 'spec.expression'],
    ['HealthCheck', { host: 'a', tcp: {}, grpc: {} }, 'one of http, tcp and grpc'],
  ])('%s %j is refused', async (kind, spec, why) => {
    const apiVersion = kinds.get(kind) ?? '';
    const wrong = { apiVersion, kind, metadata: { name: 'x' }, spec };
    expect(await refusal(wrong)).toContain(why);
  });

  async function refusedOf(documents: readonly Document[]): Promise<string[]> {
    const found: string[] = [];
    const left = [...documents];
    const worker = async (): Promise<void> => {
      for (let one = left.pop(); one !== undefined; one = left.pop()) {
        const why = await refusal(one);
        if (why !== null) found.push(`${JSON.stringify(one)}: ${why}`);
      }
    };
    await Promise.all(Array.from({ length: 16 }, worker));
    return found;
  }
});

/** What istiod's webhook said of it is known. Each document once. */
function recorded(valid: boolean): Document[] {
  const texts = readCases().flatMap(({ policies, validation }) =>
    policies.filter((_, index) => validation[index]?.valid === valid),
  );
  return [...new Set(texts)].flatMap(documentsOf);
}

function documentsIn(folder: string): Document[] {
  return readdirSync(join(root, folder))
    .filter((name) => name.endsWith('.yaml'))
    .flatMap((name) => documentsOf(readFileSync(join(root, folder, name), 'utf8')));
}

function documentsOf(text: string): Document[] {
  return parseAllDocuments(text)
    .map((document) => document.toJS() as Document | null)
    .filter((document): document is Document => document !== null && kinds.has(document.kind));
}
