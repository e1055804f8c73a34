// Where an endpoint runs: the labels by which Kubernetes and Istio say it, as `region/zone/subzone`. Loads nothing.

const regionLabel = 'topology.kubernetes.io/region';
const zoneLabel = 'topology.kubernetes.io/zone';
const subzoneLabel = 'topology.istio.io/subzone';
/** Istio's own, for pods whose nodes say nothing; labels have no slashes, so it has dots. */
const wholeLabel = 'istio-locality';

/**
 * '' where nothing is known. Parts at the end are left out where they are not known; others are empty: `/zone-a`.
 * @param zone what else says the zone, as an EndpointSlice
 */
export function localityOf(labels: Readonly<Record<string, string>>, zone = ''): string {
  const whole = labels[wholeLabel] ?? '';
  if (whole !== '') return whole.replaceAll('.', '/');
  const parts = [labels[regionLabel] ?? '', labels[zoneLabel] ?? zone, labels[subzoneLabel] ?? ''];
  return parts.join('/').replace(/\/+$/, '');
}
