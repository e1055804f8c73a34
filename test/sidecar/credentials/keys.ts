// API keys for tests, as policies name them.
import { createHash } from 'node:crypto';

export function hashOf(key: string): string {
  return createHash('sha256').update(key).digest('hex');
}

/** YAML of an ApiKeyAuthentication of the workload payments. @param spec flow text, without braces */
export function apiKeys(spec: string, name = 'partners'): string {
  return `
---
apiVersion: selvage.dev/v1alpha1
kind: ApiKeyAuthentication
metadata: { name: ${name}, namespace: shop }
spec: { ${spec} }
`;
}

export const acme = `consumers: [{ name: acme, hashes: [${hashOf('acme-key')}] }]`;
