// What the caller's sidecar does with a call, line by line: its route, where it leads, what counts there.
import type { HttpRoute } from '#api/traffic/route.ts';

import { paint } from '../table.ts';
import type { MeshWorkload } from '#api/mesh.ts';
import { durationText, hashWords, policyWords } from './policy-words.ts';
import { sourceText } from './source.ts';
import { reaches, type Way, type WayDestination } from './way.ts';

const endpointsMax = 5;

/** Empty where nothing is said of the call: it goes to any endpoint of the service. */
export function wayLines(way: Way | null, callee: MeshWorkload, tty: boolean): string[] {
  if (way === null) return [];
  const { route, destinations, rewritten, exchanges } = way;
  const notes = notesOn(way, callee).map((note) => paint(`note: ${note}`, 'yellow', tty));
  const isPlain =
    route === null &&
    exchanges.length === 0 &&
    destinations.every((one) => one.policyFrom.length === 0);
  if (isPlain) return notes;
  const lines = [`${way.caller} calls ${way.called}`];
  if (route !== null) lines.push(routeLine(way));
  if (route?.http) lines.push(...httpLines(route.http).map((line) => `  ${line}`));
  if (rewritten !== null) lines.push(`  ${rewrittenLine(rewritten)}`);
  for (const one of destinations) lines.push(...destinationLines(one).map((line) => `  ${line}`));
  lines.push(...exchanges.map((one) => `  gets another token: ${sourceText(one)}`));
  return [...lines, ...notes];
}

function routeLine({ route }: Way): string {
  if (route === null) return '';
  const name = route.name === '' ? '' : ` "${route.name}"`;
  const rule = route.rule === '' ? 'none of its rules matches: 404' : route.rule + name;
  return `route: ${sourceText(route)}, ${rule}`;
}

function httpLines(route: HttpRoute): string[] {
  const { action, timeoutMs = 0, retry, fault, mirrors = [], cors, headers } = route;
  const lines: string[] = [];
  if (action.kind === 'respond') lines.push(`answered at once with ${action.status}`);
  if (action.kind === 'redirect') lines.push(`redirected with ${action.status}`);
  if (timeoutMs > 0) lines.push(`timeout ${durationText(timeoutMs)}`);
  if (retry !== undefined) lines.push(retryLine(retry));
  if (fault?.delay !== undefined) {
    lines.push(
      `fault: ${fault.delay.percent} % are delayed by ${durationText(fault.delay.delayMs)}`,
    );
  }
  if (fault?.abort !== undefined) {
    lines.push(`fault: ${fault.abort.percent} % are answered with ${fault.abort.status}`);
  }
  for (const { destination, percent } of mirrors) {
    lines.push(`mirror: ${percent} % are copied to ${destination.host}`);
  }
  if (cors !== undefined) lines.push('CORS: preflights of browsers are answered');
  if (headers !== undefined) lines.push('edits headers');
  if (action.kind === 'forward' && action.sticky !== undefined) {
    lines.push(`each ${hashWords(action.sticky)} stays with one destination`);
  }
  return lines;
}

function retryLine({ attempts, perTryTimeoutMs, on, statuses }: NonNullable<HttpRoute['retry']>) {
  if (attempts === 0) return 'no retries';
  const each = perTryTimeoutMs > 0 ? `, ${durationText(perTryTimeoutMs)} each` : '';
  return `retries: ${attempts}${each}, on ${[...on, ...statuses].join(', ')}`;
}

function rewrittenLine({ path, host }: NonNullable<Way['rewritten']>): string {
  const parts = [
    path === undefined ? '' : `path ${path}`,
    host === undefined ? '' : `host ${host}`,
  ];
  return `rewritten: ${parts.filter((part) => part !== '').join(', ')}`;
}

function destinationLines(one: WayDestination): string[] {
  const subset = one.subset === '' ? '' : ` subset ${one.subset}`;
  const share = `${Math.round(one.percent * 100) / 100} %`;
  const lines = [`${share} to ${one.host}:${one.port}${subset}: ${endpointsText(one)}`];
  if (one.policyFrom.length === 0) return lines;
  const words = policyWords(one.policy);
  const what = words.length === 0 ? 'says nothing of this port' : words.join('; ');
  return [...lines, `  ${one.policyFrom.map(sourceText).join(', ')}: ${what}`];
}

function endpointsText({ unusable, endpoints, resolution }: WayDestination): string {
  if (unusable !== '') return unusable;
  if (resolution === 'none') return 'the address that is called';
  if (resolution === 'dynamic-dns') return 'the name that is called, looked up';
  if (endpoints.length === 0) return 'no endpoints';
  const shown = endpoints.slice(0, endpointsMax).map(({ address, port }) => `${address}:${port}`);
  const more =
    endpoints.length > endpointsMax ? [`and ${endpoints.length - endpointsMax} more`] : [];
  const what = `${endpoints.length} endpoint${endpoints.length === 1 ? '' : 's'}`;
  return `${what} (${[...shown, ...more].join(', ')})${resolution === null ? '' : ', looked up'}`;
}

/** What whoever asks about this callee may have overlooked. */
function notesOn(way: Way, callee: MeshWorkload): string[] {
  const { kind, scope, called, route, destinations, caller, others } = way;
  const notes: string[] = [];
  if (kind === 'unknown-port') notes.push(`${called}: the service has no such port for ${caller}`);
  if (kind === 'outside') notes.push(outsideNote(called, caller, scope));
  // Of a service that has no endpoints now nobody can say whom it would lead to.
  const isKnown = destinations.length === 0 || destinations.some((one) => one.endpoints.length > 0);
  if (kind === 'service' && isKnown && !reaches(way, callee)) notes.push(missedNote(way, callee));
  if (route !== null && others.length > 0) {
    notes.push(`of the same account, and perhaps with other routes: ${others.join(', ')}`);
  }
  return notes;
}

function outsideNote(called: string, caller: string, scope: Way['scope']): string {
  const refused = scope?.mode === 'REGISTRY_ONLY';
  const what = refused ? `refuses it (${scope.source})` : 'calls it as a host outside of the mesh';
  return `${caller} sees no service with the host ${called}, and ${what}`;
}

function missedNote({ route, destinations }: Way, { namespace, name }: MeshWorkload): string {
  const to = `${namespace}/${name}`;
  const action = route?.http?.action.kind ?? 'forward';
  if (route?.rule === '' || action !== 'forward') {
    return `the caller's sidecar answers itself: ${to} sees nothing of the call`;
  }
  const hosts = destinations.filter(({ percent }) => percent > 0).map(({ host }) => host);
  return `the call does not get to ${to}, but to ${hosts.join(', ') || 'nobody'}`;
}
