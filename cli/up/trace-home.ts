// Where the traces of a local mesh go: where the user says, else to a collector on OTLP's usual port, if one is there.
import type { LiveResult } from './scenario.ts';

export interface TraceHome {
  /** '': nowhere. */
  readonly otlpEndpoint: string;
  /** Where Jaeger shows a trace, without its identifier; '': nobody is known to show it. */
  readonly pages: string;
  /** For people; '': they know. */
  readonly line: string;
}

/** What looks for a collector asks. */
export interface UsualPlaces {
  readonly otlp: string;
  readonly jaeger: string;
}

/** Said in place of a URL: no traces at all. */
export const noTraces = 'off';

const usual: UsualPlaces = { otlp: 'http://127.0.0.1:4318', jaeger: 'http://127.0.0.1:16686' };
/** Somebody on this machine answers at once, or is not asked for. */
const patienceMs = 150;
const startJaeger = 'docker run --rm -p 16686:16686 -p 4318:4318 jaegertracing/jaeger:2.13.0';

/** @param said the URL that the user gave, `off`, or '': look for one */
export async function findTraceHome(said: string, places = usual): Promise<TraceHome> {
  if (said === noTraces) return { otlpEndpoint: '', pages: '', line: '' };
  if (said !== '') return { otlpEndpoint: said, pages: '', line: '' };
  const { otlp, jaeger } = places;
  const [takes, shows] = await Promise.all([takesSpans(otlp), showsTraces(jaeger)]);
  if (!takes) {
    const line = `No traces are kept: nothing takes them at ${otlp}. To see them, start Jaeger before:\n  ${startJaeger}`;
    return { otlpEndpoint: '', pages: '', line };
  }
  const at = shows ? ` Jaeger shows them: ${jaeger}` : '';
  const pages = shows ? `${jaeger}/trace/` : '';
  return { otlpEndpoint: otlp, pages, line: `Traces go to ${otlp}.${at}` };
}

/** Links to the first call that was let through and to the first that was denied; '' without a page for them. */
export function traceLinks({ pages }: TraceHome, results: readonly LiveResult[]): string {
  if (pages === '') return '';
  const seen = results.filter(({ line }) => line !== null);
  const allowed = seen.find(({ reply }) => reply.status >= 200 && reply.status < 400);
  const denied = seen.find(({ reply }) => reply.status === 403);
  const lines = [
    ['the first call', allowed],
    ['a denied call', denied],
  ] as const;
  return lines
    .flatMap(([what, result]) =>
      result === undefined ? [] : [`trace of ${what}: ${pages}${result.traceId}\n`],
    )
    .join('');
}

/** Whether something there answers as OTLP does: an export of nothing is taken. */
async function takesSpans(url: string): Promise<boolean> {
  const response = await ask(`${url}/v1/traces`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-protobuf' },
    body: new Uint8Array(0),
  });
  const type = response?.headers.get('content-type') ?? '';
  return response?.status === 200 && type.startsWith('application/x-protobuf');
}

/** Whether Jaeger's query API is there. */
async function showsTraces(url: string): Promise<boolean> {
  const response = await ask(`${url}/api/services`, {});
  const type = response?.headers.get('content-type') ?? '';
  return response?.status === 200 && type.startsWith('application/json');
}

async function ask(url: string, init: RequestInit): Promise<Response | null> {
  try {
    const response = await fetch(url, { ...init, signal: AbortSignal.timeout(patienceMs) });
    await response.body?.cancel();
    return response;
  } catch {
    return null;
  }
}
