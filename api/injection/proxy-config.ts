// Istio's annotation proxy.istio.io/config, as far as it says something that a sidecar of ours has too: DNS capture.
import { readYaml } from '../yaml.ts';

export const proxyConfigAnnotation = 'proxy.istio.io/config';

export interface ProxyConfig {
  /** Null: it does not say. */
  readonly dnsCapture: boolean | null;
  /** Fields that change nothing here, as `proxyMetadata.NAME`. */
  readonly ignored: readonly string[];
}

const dnsCapture = 'ISTIO_META_DNS_CAPTURE';
/** Addresses are always allocated where names are answered, as in Istio since 1.25. */
const understood = [dnsCapture, 'ISTIO_META_DNS_AUTO_ALLOCATE'];
const limits = { textLengthMax: 65_536, nodesMax: 1000, depthMax: 20 };

/** What cannot be read says nothing: Istio's own webhook would have refused the pod. */
export function readProxyConfig(text: string): ProxyConfig {
  const { documents } = readYaml(text, proxyConfigAnnotation, limits);
  const { proxyMetadata, ...others } = fieldsOf(documents[0]?.value);
  const metadata = fieldsOf(proxyMetadata);
  // Istio's users write it in quotes or not.
  const said = metadata[dnsCapture];
  const [on, off] = [true, false].map((flag) => said === flag || said === `${flag}`);
  return {
    dnsCapture: on === true ? true : off === true ? false : null,
    ignored: [
      ...Object.keys(others),
      ...Object.keys(metadata)
        .filter((name) => !understood.includes(name))
        .map((name) => `proxyMetadata.${name}`),
    ],
  };
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}
