// The Helm chart renders what kustomize renders of the base: the same objects. Skipped, with a word, without either program.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';

const root = join(import.meta.dirname, '../../../manifests');
const chart = join(root, 'helm/selvage');
const missing = ['helm', 'kubectl'].filter((name) => spawnSync(name, ['--help']).status !== 0);
if (missing.length > 0) console.log(`skipped: there is no ${missing.join(' and no ')} here`);

describe.skipIf(missing.length > 0)('the chart', () => {
  test('helm finds nothing wrong with it', () => {
    expect(run('helm', 'lint', '--strict', chart)).toContain('0 chart(s) failed');
  });

  test('it is the base of kustomize, as sets of objects', () => {
    const helm = byName(run('helm', 'template', 'any', chart, '--include-crds'));
    const base = byName(run('kubectl', 'kustomize', join(root, 'base')));
    expect([...helm.keys()].toSorted()).toEqual([...base.keys()].toSorted());
    for (const [name, object] of base) expect(helm.get(name)).toEqual(object);
  });

  test('each value has its place', () => {
    const text = template(
      'image=registry.example/selvage:2',
      'imagePullPolicy=Always',
      'replicas=3',
      'resources.ca.limits.memory=1Gi',
      'trustDomain=mesh.example',
      'otlpEndpoint=http://collector:4318',
    );
    const objects = byName(text);
    expect(objects.get('Deployment/selvage-ca')).toMatchObject({
      spec: {
        replicas: 3,
        template: {
          spec: {
            containers: [
              {
                image: 'registry.example/selvage:2',
                imagePullPolicy: 'Always',
                resources: { requests: { cpu: '100m' }, limits: { memory: '1Gi' } },
                env: expect.arrayContaining([
                  { name: 'SELVAGE_TRUST_DOMAIN', value: 'mesh.example' },
                ]),
              },
            ],
          },
        },
      },
    });
    expect(objects.get('ConfigMap/selvage-injector')).toMatchObject({
      data: {
        SELVAGE_INJECT_IMAGE: 'registry.example/selvage:2',
        SELVAGE_INJECT_OTLP_ENDPOINT: 'http://collector:4318',
      },
    });
    expect(objects.get('ConfigMap/istio')).toMatchObject({
      data: { mesh: 'trustDomain: mesh.example\n' },
    });
  });
});

function template(...values: string[]): string {
  return run('helm', 'template', 'any', chart, ...values.flatMap((value) => ['--set', value]));
}

function run(command: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stdout}${stderr}`);
  return stdout;
}

/** By `Kind/name`, which are once each in an installation but for Roles of two namespaces. */
function byName(text: string): Map<string, unknown> {
  const objects = parseAllDocuments(text)
    .map((document) => document.toJS() as { kind: string; metadata: Record<string, string> } | null)
    .filter((object) => object !== null);
  return new Map(
    objects.map((object) => {
      const { namespace = '', name } = object.metadata;
      const where = ['', 'selvage-system'].includes(namespace) ? '' : `${namespace}/`;
      return [`${object.kind}/${where}${name}`, object];
    }),
  );
}
