// Routes of VirtualServices, HTTPRoutes and GRPCRoutes: what becomes of a call that one of them names.
import type { Exchange } from '../exchange.ts';
import { failures, type Failure } from '../failures.ts';
import { answer, ENDED, PASS, type Layer, type Outcome } from '../request-path.ts';
import { choose } from '../routing/choose.ts';
import type {
  CompiledForward,
  CompiledGroup,
  CompiledRedirect,
  CompiledRoute,
} from '../routing/compiled-route.ts';
import { corsOf, type CompiledCors } from '../routing/cors.ts';
import { faultOf, type Fault } from '../routing/fault.ts';
import { replyLines } from '../routing/header-edits.ts';
import { redirectOf } from '../routing/redirect.ts';
import { editRequest } from '../routing/rewrite.ts';
import type { RouteIndex } from '../routing/route-index.ts';
import { hashText } from '../upstream/hash.ts';
import type { Upstreams } from '../upstream/upstreams.ts';
import type { Destination } from './destination.ts';
import { mirrorTo } from './mirror.ts';
import { retryPolicyOf } from './retry.ts';
import { groupOfService, routeTo } from './route-target.ts';
import { resumeSession } from './session.ts';

/** Costs a call one look where no route names its host. */
export function routeLayer(upstreams: Upstreams): Layer {
  return (x) => {
    const { enforced, to } = x;
    if (enforced === null || enforced.routing.empty || to === null) return PASS;
    const group = groupOf(enforced.routing, to);
    if (group === null) return PASS;
    const compiled = group.route(x.request);
    if (compiled === null) return failures['route-unmatched'];
    x.routed = { compiled, destination: null, origin: '' };
    if (compiled.cors !== null && compiled.action.kind === 'forward') {
      if (judgeOrigin(x, compiled.cors) === ENDED) return ENDED;
    }
    const fault = compiled.fault === null ? null : faultOf(compiled.fault, Math.random);
    return fault === null ? act(x, upstreams, compiled) : suffer(x, upstreams, compiled, fault);
  };
}

/** The host as the mesh knows it, whatever the caller called it. */
function groupOf(routing: RouteIndex, to: Destination): CompiledGroup | null {
  if (to.kind === 'external') return routing.find(to.host, to.port);
  return groupOfService(routing, to.route);
}

function judgeOrigin(x: Exchange, cors: CompiledCors): Outcome {
  const outcome = corsOf(cors, x.request);
  if (outcome === null) return PASS;
  if (outcome.kind === 'preflight') {
    x.details = 'cors_response';
    answer(x, 200, outcome.headers, '');
    return ENDED;
  }
  if (x.routed !== null) x.routed.origin = outcome.origin;
  return PASS;
}

/** Envoy's fault filter: the delay first, then the abort, or the call after all. */
async function suffer(
  x: Exchange,
  upstreams: Upstreams,
  compiled: CompiledRoute,
  { delayMs, abort }: Fault,
): Promise<Outcome> {
  if (delayMs > 0) {
    x.delayed = true;
    await new Promise((resolve) => setTimeout(resolve, delayMs));
    if (x.finishedAtMs !== 0) return ENDED;
  }
  if (abort === null) return act(x, upstreams, compiled);
  const { status, grpcStatus } = abort;
  const failure = { ...failures['fault-injected'], status };
  return grpcStatus === undefined ? failure : { ...failure, grpcStatus: String(grpcStatus) };
}

function act(
  x: Exchange,
  upstreams: Upstreams,
  compiled: CompiledRoute,
): Outcome | Promise<Outcome> {
  const { action } = compiled;
  if (action.kind === 'forward') return forward(x, upstreams, compiled, action);
  x.details = 'direct_response';
  const lines = compiled.edits === null ? '' : replyLines(compiled.edits, x);
  if (action.kind === 'redirect') return redirect(x, action, lines);
  const type = action.body === '' ? '' : 'content-type: text/plain\r\n';
  answer(x, action.status, `${lines}${lines.includes('content-type:') ? '' : type}`, action.body);
  return ENDED;
}

function redirect(x: Exchange, action: CompiledRedirect, lines: string): Outcome {
  const { status, location } = redirectOf(action, x.request);
  answer(x, status, `location: ${location}\r\n${lines}`, '');
  return ENDED;
}

function forward(
  x: Exchange,
  upstreams: Upstreams,
  compiled: CompiledRoute,
  action: CompiledForward,
): Outcome | Promise<Outcome> {
  const { to: called, enforced } = x;
  if (called === null || enforced === null) return failures.internal;
  const known = { routes: enforced.routes, upstreams };
  const source = x.downstream.remoteAddress;
  const chosen =
    resumeSession(x, action, known) ?? choose(action, Math.random(), x.request, source, hashText);
  if (chosen === null || chosen.invalid !== undefined) return invalid(x, chosen?.invalid);
  const to = routeTo(x, known, called, chosen.destination);
  if ('code' in to) return to;
  if (x.routed !== null) x.routed.destination = chosen;
  x.to = to;
  editRequest(x, compiled, chosen);
  limit(x, compiled);
  return compiled.mirrors.length === 0 ? PASS : mirrorTo(x, known, compiled.mirrors);
}

function invalid(x: Exchange, reason = 'the route has no destination'): Failure {
  x.details = `direct_response{${reason}}`;
  return failures['backend-invalid'];
}

function limit(x: Exchange, { timeoutMs, retry }: CompiledRoute): void {
  const policy = retryPolicyOf(retry);
  if (timeoutMs === 0 && policy.perTryTimeoutMs === 0) return;
  // A tunnel lives as long as its ends want.
  if (x.request.upgrade === '') x.stream.limitTime(timeoutMs, policy.perTryTimeoutMs);
}
