// What is said of one document of a kind: severity, place and words, for tables of cases.
import { validateResource } from '#api/read-resource.ts';
import { readYaml } from '#api/yaml.ts';

const groups: Readonly<Record<string, string>> = {
  CircuitBreaker: 'selvage.dev/v1alpha1',
  HealthCheck: 'selvage.dev/v1alpha1',
  Telemetry: 'telemetry.istio.io/v1',
};

/** @param spec YAML in one line */
export function said(kind: string, spec: string): string[] {
  const apiVersion = groups[kind] ?? 'networking.istio.io/v1';
  const metadata = '{ name: it, namespace: shop }';
  const text = `apiVersion: ${apiVersion}\nkind: ${kind}\nmetadata: ${metadata}\nspec: ${spec}`;
  const { documents, problems } = readYaml(text, 'f.yaml');
  const [document] = documents;
  if (document === undefined || problems.length > 0) throw new Error(JSON.stringify(problems));
  const { origin: _, ...source } = document;
  return validateResource(source).map(
    ({ severity, message }) => `${severity === 'error' ? '' : `${severity}: `}${message}`,
  );
}
