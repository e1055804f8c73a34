// Where endpoints and callers run, and how near they are to each other, as Istio counts it.

/** `region/zone/subzone`, whose last parts may be missing; '': not known. */
export interface Place {
  readonly region: string;
  readonly zone: string;
  readonly subzone: string;
}

/** The caller. */
export interface OwnPlace {
  readonly place: Place;
  readonly labels: Readonly<Record<string, string>>;
  /** How many pods its workload has in each zone of its region, where somebody wants to know. */
  readonly callers?: ReadonlyMap<string, number>;
}

export const nowhere: OwnPlace = { place: { region: '', zone: '', subzone: '' }, labels: {} };

export function placeOf(locality: string | undefined): Place {
  const [region = '', zone = '', subzone = ''] = (locality ?? '').split('/');
  return { region, zone, subzone };
}

/** @param pattern `region/zone/*`; a part that is missing or `*` is met by any */
export function matchesPlace(place: Place, pattern: string): boolean {
  const wanted = placeOf(pattern);
  return (
    meets(place.region, wanted.region) &&
    meets(place.zone, wanted.zone) &&
    meets(place.subzone, wanted.subzone)
  );
}

function meets(part: string, wanted: string): boolean {
  return wanted === '' || wanted === '*' || part === wanted;
}

/**
 * 0: the same subzone, 1: zone, 2: region, 3: elsewhere. Where the caller's region fails over to
 * one, that is 3 and all others 4.
 */
export function distance(
  own: Place,
  other: Place,
  failover: readonly { readonly from: string; readonly to: string }[] = [],
): number {
  if (own.region === other.region) {
    if (own.zone !== other.zone) return 2;
    return own.subzone === other.subzone ? 0 : 1;
  }
  const next = failover.find(({ from }) => from === own.region);
  return next === undefined || next.to === other.region ? 3 : 4;
}

/**
 * How many of the labels, from the first that differs on, an endpoint does not share: 0 for all
 * shared. `label=value` asks the endpoint for that value, whatever the caller's is.
 */
export function labelDistance(
  own: OwnPlace,
  place: Place,
  labels: Readonly<Record<string, string>>,
  priority: readonly string[],
): number {
  const first = priority.findIndex((entry) => {
    const [name = '', value] = entry.split('=', 2);
    const wanted = value ?? labelOf(name, own.place, own.labels);
    return wanted !== labelOf(name, place, labels);
  });
  return first < 0 ? 0 : priority.length - first;
}

function labelOf(
  name: string,
  place: Place,
  labels: Readonly<Record<string, string>>,
): string | undefined {
  const own = labels[name];
  if (own !== undefined) return own;
  if (name === 'topology.kubernetes.io/region') return place.region;
  if (name === 'topology.kubernetes.io/zone') return place.zone;
  return name === 'topology.istio.io/subzone' ? place.subzone : undefined;
}
