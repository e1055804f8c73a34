// Which page an address means.
import type { Collector } from './collector.ts';
import type { Page } from './frame.ts';
import { html, pathOf } from './html.ts';
import { graphPage } from './pages/graph.ts';
import { inspectPage } from './pages/inspect.ts';
import { refusalsPage } from './pages/refusals.ts';
import { syncPage } from './pages/sync.ts';
import { tracePage, tracesPage } from './pages/traces.ts';
import { whyPage } from './pages/why.ts';
import { workloadPage } from './pages/workload.ts';
import { workloadsPage } from './pages/workloads.ts';

/** A page; text: the address to go to instead. */
export async function pageAt(
  collector: Collector,
  path: string,
  query: URLSearchParams,
): Promise<Page | string> {
  const names = namesIn(path);
  if (names === null) return missing(path);
  const [place = '', first, second, ...rest] = names;
  const depth = rest.length > 0 ? 3 : [first, second].filter((name) => name !== undefined).length;
  switch (`${place} ${depth}`) {
    case ' 0':
      return graphPage(collector, query);
    case 'w 0':
      return workloadsPage(collector, query);
    case 'w 2':
      return workloadPage(collector, first ?? '', second ?? '');
    case 'why 0': {
      const id = query.get('id')?.trim() ?? '';
      return id === '' ? refusalsPage(collector) : pathOf('why', id);
    }
    case 'why 1':
      return whyPage(collector, first ?? '');
    case 'inspect 0':
      return inspectPage(collector, query);
    case 'sync 0':
      return syncPage(collector);
    case 't 0':
      return tracesPage(collector);
    case 't 1':
      return tracePage(collector, first ?? '');
    default:
      return missing(path);
  }
}

/** null: it is no encoding of anything. */
function namesIn(path: string): string[] | null {
  try {
    return path.slice(1).split('/').map(decodeURIComponent);
  } catch {
    return null;
  }
}

function missing(path: string): Page {
  const body = html`<h1>There is no page ${path}</h1>
    <p><a href="/">The graph of services</a></p>`;
  return { title: 'Not found', body, status: 404, live: false };
}
