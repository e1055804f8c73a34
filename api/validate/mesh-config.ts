// MeshConfig: formats of access logs that no sidecar can write. The rest of the mesh's settings stays in force.
import { checkLogFormat } from '../access-log/check.ts';
import type { ExtensionProvider, MeshConfig } from '../kinds/mesh-config.ts';
import { type Finding, joinIndex, joinKey } from '../origin.ts';

export function validateMeshConfig(config: MeshConfig): Finding[] {
  const { accessLogFormat, accessLogEncoding, extensionProviders } = config;
  return [
    ...(accessLogFormat === undefined
      ? []
      : ofMesh(accessLogFormat, accessLogEncoding, 'spec.accessLogFormat')),
    ...extensionProviders.flatMap((provider, i) =>
      ofProvider(provider, joinIndex('spec.extensionProviders', i)),
    ),
  ];
}

function ofMesh(text: string, encoding: MeshConfig['accessLogEncoding'], path: string): Finding[] {
  if (encoding !== 'JSON') return formatFindings(text, path);
  try {
    const labels: unknown = JSON.parse(text);
    if (typeof labels === 'object' && labels !== null) return labelFindings(labels, path, false);
  } catch {
    // Told below.
  }
  const message = "with JSON the format is an object of texts: Istio's own keys are written";
  return [{ severity: 'warning', code, path, message, mend: '{ "code": "%RESPONSE_CODE%" }' }];
}

function ofProvider({ envoyFileAccessLog }: ExtensionProvider, path: string): Finding[] {
  const { text, labels } = envoyFileAccessLog?.logFormat ?? {};
  const at = `${path}.envoyFileAccessLog.logFormat`;
  return [
    ...(text === undefined ? [] : formatFindings(text, `${at}.text`)),
    ...(labels === undefined ? [] : labelFindings(labels, `${at}.labels`, true)),
  ];
}

const code = 'log-format-invalid';

/** @param inYaml whether each label has a place of its own */
function labelFindings(labels: object, path: string, inYaml: boolean): Finding[] {
  return Object.entries(labels).flatMap(([key, value]: [string, unknown]): Finding[] => {
    const at = inYaml ? joinKey(path, key) : path;
    if (typeof value === 'string') return formatFindings(value, at);
    return typeof value === 'object' && value !== null ? labelFindings(value, at, inYaml) : [];
  });
}

function formatFindings(text: string, path: string): Finding[] {
  return checkLogFormat(text).map(({ severity, message, mend }) => {
    const lost = severity === 'error' ? '; sidecars leave the log out' : '';
    const finding = { severity: 'warning', code, path, message: `${message}${lost}` } as const;
    return mend === undefined ? finding : { ...finding, mend };
  });
}
