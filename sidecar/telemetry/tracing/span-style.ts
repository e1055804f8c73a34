// What each span of this sidecar tells beside the call: who the sidecar is, custom tags, how long values may be.
import type { TracingSettings } from '#api/telemetry.ts';
import type { Verdict } from '#policy/verdict.ts';

import { nothingWanted, wantedBoth, type WantedOfAnswers } from '../kept-answer.ts';
import type { LogRecord } from '../log-record.ts';
import type { WorkloadLabels } from '../workload-labels.ts';
import { compileTags, type CompiledTag, type TagParts } from './custom-tags.ts';
import type { Attributes } from './span.ts';

/** Who this sidecar is. */
export interface SpanOwner {
  readonly labels: () => WorkloadLabels;
  /** Istio's node ID: `sidecar~10.0.0.9~payments-0.payments~payments.svc.cluster.local`. */
  readonly node: string;
  readonly meshId: string;
}

/** Istio's maxTagLength where nobody says another. */
const tagCharsMax = 256;

export class SpanStyle {
  readonly owner: SpanOwner;
  /** What custom tags want kept of answers. */
  readonly wanted: WantedOfAnswers;
  readonly #istioTags: boolean;
  readonly #tags: readonly CompiledTag[];
  readonly #charsMax: number;
  readonly #reason: TagParts['reason'];

  constructor(owner: SpanOwner, settings: TracingSettings, parts: TagParts) {
    this.owner = owner;
    this.#reason = parts.reason;
    this.#istioTags = settings.withoutIstioTags !== true;
    this.#tags = compileTags(settings.tags ?? [], parts);
    this.wanted = this.#tags.map(({ wanted }) => wanted).reduce(wantedBoth, nothingWanted);
    this.#charsMax = settings.provider?.tagCharsMax ?? tagCharsMax;
  }

  /** The sentence that logs have too, with what is secret cut. */
  why(record: LogRecord): string {
    return this.#reason(record).fields.why ?? '';
  }

  /** Long values are cut. */
  cut(text: string): string {
    return text.length > this.#charsMax ? text.slice(0, this.#charsMax) : text;
  }

  /** Who the sidecar is, in the names that Istio's users look for. */
  addOwner(attributes: Attributes): void {
    const { labels, node, meshId } = this.owner;
    attributes['component'] = 'proxy';
    attributes['node_id'] = node;
    if (!this.#istioTags) return;
    const own = labels();
    attributes['istio.canonical_service'] = own.canonicalService;
    attributes['istio.canonical_revision'] = own.canonicalRevision;
    attributes['istio.namespace'] = own.namespace;
    attributes['istio.cluster_id'] = own.cluster;
    attributes['istio.mesh_id'] = meshId;
  }

  /** The last ones: they win over all others of the same name. */
  addTags(attributes: Attributes, record: LogRecord): void {
    for (const { name, read } of this.#tags) {
      const value = read(record);
      if (value !== '') attributes[name] = this.cut(value);
    }
  }

  addVerdict(attributes: Attributes, verdict: Verdict): void {
    attributes['selvage.verdict'] = verdict.allowed ? 'allowed' : 'denied';
    if (verdict.policy === '') return;
    attributes['selvage.policy'] = `${verdict.namespace}/${verdict.policy}`;
    if (verdict.rule >= 0) attributes['selvage.rule'] = verdict.rule;
  }
}
