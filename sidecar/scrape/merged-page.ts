// The page of the port that Prometheus scrapes: the sidecar's own metrics, then the application's.
import type { AdminReply } from '#runtime/admin.ts';
import type { Log } from '#runtime/log.ts';

import { formatFor, writeFamilies, writePage } from '../telemetry/exposition.ts';
import type { Family } from '../telemetry/families.ts';
import { fetchPage, type ApplicationPage } from './application-page.ts';
import { familyOf } from './page-reader.ts';

export interface MergedPageParts {
  /** The sidecar's own metrics. */
  readonly own: () => Promise<readonly Family[]>;
  /** The application's page. */
  readonly application: URL;
  readonly log: Log;
}

/** Of the request for the page. */
export interface ScrapeHeaders {
  readonly accept?: string | undefined;
  readonly 'x-prometheus-scrape-timeout-seconds'?: string | string[] | undefined;
}

/** Whoever scrapes without saying how long it waits. */
const timeoutDefaultMs = 5000;
const timeoutMaxMs = 30_000;
/** The port is open to everybody, and each page asked for is held in memory. */
const pagesMax = 4;

/** Whatever the application does, our own page is given. */
export class MergedPage {
  readonly #parts: MergedPageParts;
  readonly #pending = new Map<string, Promise<ApplicationPage>>();
  #scrapes = 0;
  #failures = 0;
  #failing = false;

  constructor(parts: MergedPageParts) {
    this.#parts = parts;
  }

  /** Rejects when our own page cannot be made. */
  async scrape(headers: ScrapeHeaders): Promise<AdminReply> {
    const own = await this.#parts.own();
    const taken = [...own, ...this.#counters()].map(({ name }) => familyOf(name));
    const page = await this.#ask(headers, new Set(taken));
    const ours = [...own, ...this.#counters()];
    if (page === null) return writePage(ours, formatFor(headers.accept ?? ''));
    const { format, type, lines } = page;
    const end = format === 'openmetrics' ? '# EOF\n' : '';
    return { type, body: writeFamilies(ours, format) + lines + end };
  }

  async #ask(headers: ScrapeHeaders, taken: ReadonlySet<string>): Promise<ApplicationPage | null> {
    this.#scrapes += 1;
    try {
      const page = await this.#fetch(headers, taken);
      if (this.#failing) this.#parts.log.info({}, "the application's metrics are read again");
      this.#failing = false;
      return page;
    } catch (error) {
      this.#failures += 1;
      const said = error instanceof Error ? error.message : String(error);
      const { href } = this.#parts.application;
      // Once for each time that it goes wrong: it is asked every few seconds.
      if (!this.#failing) {
        this.#parts.log.warn(
          { url: href },
          `the application's metrics page ${said}; it is left out`,
        );
      }
      this.#failing = true;
      return null;
    }
  }

  async #fetch(headers: ScrapeHeaders, taken: ReadonlySet<string>): Promise<ApplicationPage> {
    const accept = acceptOf(headers.accept ?? '');
    const timeoutMs = timeoutOf(headers['x-prometheus-scrape-timeout-seconds']);
    // Who asks for the same at the same time gets the same page.
    const key = `${timeoutMs} ${accept}`;
    const pending = this.#pending.get(key);
    if (pending !== undefined) return pending;
    if (this.#pending.size >= pagesMax) throw new Error('is being read by others');
    const url = this.#parts.application;
    const page = fetchPage({ url, accept, timeoutMs, taken });
    this.#pending.set(key, page);
    return page.finally(() => this.#pending.delete(key));
  }

  /** Named as those of Istio's agent. */
  #counters(): Family[] {
    return [
      {
        name: 'istio_agent_scrapes_total',
        help: "Scrapes of the page that has the application's metrics too.",
        type: 'counter',
        samples: [{ labels: '', value: this.#scrapes }],
      },
      {
        name: 'istio_agent_scrape_failures_total',
        help: 'Pages that had to be left out.',
        type: 'counter',
        samples: [{ labels: 'type="application"', value: this.#failures }],
      },
    ];
  }
}

/** The scraper's wishes without what cannot be put together as text: protobuf. */
export function acceptOf(accept: string): string {
  const wishes = accept
    .split(',')
    .map((wish) => wish.trim())
    .filter((wish) =>
      /^(?:application\/openmetrics-text|text\/plain|\*\/\*)(?:[ ;]|$)/i.test(wish),
    );
  return wishes.length === 0 ? 'text/plain;version=0.0.4,*/*;q=0.1' : wishes.join(',');
}

/** A part of the scraper's patience, so that our own page is there in time. */
export function timeoutOf(header: string | string[] | undefined): number {
  const seconds = typeof header === 'string' && header !== '' ? Number(header) : Number.NaN;
  if (!(seconds > 0)) return timeoutDefaultMs;
  return Math.min(Math.ceil(seconds * 800), timeoutMaxMs);
}
