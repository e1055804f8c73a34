// What one data plane remembers and shows of its calls: failures by id, taps, who calls whom. Telemetry reports to it.
import type { CallRecord } from '#api/call-record.ts';
import { explainDryRuns } from '#policy/explain.ts';

import type { Exchange } from '../exchange.ts';
import { newFailureId } from '../failure-id.ts';
import { Reasons } from '../telemetry/log-reason.ts';
import { LogRecord } from '../telemetry/log-record.ts';
import type { ConnectionRefusal, ReasonSource, TcpSession } from '../telemetry/types.ts';
import type { WallClock } from '../telemetry/wall-clock.ts';
import type { WorkloadLabels } from '../telemetry/workload-labels.ts';
import { callFacts, callRecord, partiesOf, type Parties } from './call-record.ts';
import { Edges, ordinaryEnds } from './edges.ts';
import { Recent } from './recent.ts';
import { Taps } from './taps.ts';

export interface ObservationParts {
  /** This workload, as metrics name it. */
  readonly self: () => WorkloadLabels;
  readonly reasons: ReasonSource | null;
  readonly clock: WallClock;
}

export class Observation {
  readonly recent = new Recent();
  readonly taps = new Taps();
  readonly edges: Edges;
  readonly #self: () => WorkloadLabels;
  readonly #reasons: Reasons;
  readonly #clock: WallClock;
  readonly #record = new LogRecord();

  constructor({ self, reasons, clock }: ObservationParts) {
    this.#self = self;
    this.#reasons = new Reasons(reasons);
    this.#clock = clock;
    this.edges = new Edges(self);
  }

  /** Before it is logged: a failure that was answered has its id already, and the client's leaving is none. */
  name(x: Exchange): void {
    if (x.id === '' && x.failure?.code !== 'downstream-gone') x.id = newFailureId();
  }

  nameSession(session: TcpSession): void {
    const refused = session.verdict?.allowed === false;
    if (refused || !ordinaryEnds.has(session.flag)) session.id = newFailureId();
  }

  /** At its end; with neither a failure nor a tap there is nothing to do. */
  exchange(x: Exchange): void {
    if (x.id !== '') {
      this.#record.ofExchange(x);
      this.#keep(partiesOf(x, this.#self()));
    }
    if (!this.taps.on) return;
    this.taps.exchange(x, (facts) => {
      this.#record.ofExchange(x);
      return this.#tapped(partiesOf(x, this.#self()), facts);
    });
  }

  tcpClosed(session: TcpSession): void {
    const parties = partiesOf(session, this.#self());
    this.#record.ofSession(session);
    if (session.id !== '') this.#keep(parties);
    if (!this.taps.on) return;
    this.taps.session(session, (facts) => this.#tapped(parties, facts));
  }

  connectionRefused(refusal: ConnectionRefusal): void {
    this.#record.ofRefusal(refusal);
    this.#keep(partiesOf(refusal, this.#self()));
  }

  #keep(parties: Parties): void {
    const record = this.#record;
    const { startedAtMs, durationMs } = record;
    const made = callRecord(record, this.#reasons.of(record), parties, this.#clock);
    this.recent.add(made, this.#clock.epochMs(startedAtMs + durationMs));
  }

  #tapped(parties: Parties, withFacts: boolean): CallRecord {
    const record = this.#record;
    const made = callRecord(record, this.#reasons.of(record), parties, this.#clock);
    const dryRun = made.dryRun ?? dryRunsOf(record);
    const facts = withFacts ? callFacts(record) : null;
    return {
      ...made,
      ...(dryRun.length > 0 && { dryRun }),
      ...(facts !== null && { facts }),
    };
  }
}

function dryRunsOf({ exchange, session }: LogRecord): readonly string[] {
  const policies = (exchange ?? session)?.enforced?.policies;
  if (policies === undefined) return none;
  if (exchange === null) {
    const inbound = session?.downstream.direction === 'inbound';
    return inbound ? explainDryRuns(policies.tcp, session.downstream.facts, null) : none;
  }
  const { downstream, verdict, judged, request } = exchange;
  // Where no rule was asked, no rule under trial would have been.
  if (verdict === null || downstream.direction === 'outbound') return none;
  return explainDryRuns(policies.http, downstream.facts, judged ?? request);
}

const none: readonly string[] = Object.freeze([]);
