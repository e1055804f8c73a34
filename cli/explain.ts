// `selvage explain`: whether a call is allowed, which rule decides, and for a denial what came nearest.
import { relative } from 'node:path';

import { readArguments } from './arguments.ts';
import type { MeshCall } from './calls/mesh-call.ts';
import { CallError } from './calls/failure.ts';
import {
  asEnforced,
  askCallee,
  type EnforcedAnswers,
  enforcedLines,
} from './calls/enforced-call.ts';
import { inboundLines } from './calls/inbound-rule.ts';
import { explainCall } from './calls/explain-call.ts';
import type { JudgedCall } from './calls/judge-call.ts';
import { loadModel, type MeshModel, modelOf } from './calls/model.ts';
import { printProblems } from './calls/problems.ts';
import { renderJson, renderText } from './calls/render.ts';
import { wayLines } from './calls/way-text.ts';
import { openCluster, type OpenCluster, runInCluster } from './cluster/cluster.ts';
import { readCluster } from './cluster/resources.ts';
import type { Io } from './io.ts';
import { allPrintable, printableJson } from './printable.ts';
import { noteFailures } from './sidecars/ask-all.ts';
import { clusterSidecars, findLocalMesh, localSidecars, meshOptions } from './sidecars/open.ts';
import type { Sidecars } from './sidecars/source.ts';

/** Exit status 0: allowed; 1: not; 2: wrong usage, or the files or the mesh do not say. */
export async function explain(
  args: string[],
  io: Io,
  open: OpenCluster = openCluster,
): Promise<number> {
  try {
    const { values, positionals } = readArguments(args, options);
    if (values.live === true) {
      if (positionals.length > 0) throw new CallError('--live takes no PATH');
      return await explainLive(values, io, open);
    }
    if (values.mesh !== undefined) throw new CallError('--mesh goes with --live');
    if (positionals.length === 0) throw new CallError('give the files or folders of YAML');
    return await judge(await loadModel(positionals, io.cwd), values, io);
  } catch (error) {
    if (!(error instanceof CallError)) throw error;
    io.stderr.write(`selvage explain: ${error.message}\n`);
    return 2;
  }
}

/** The resources say who calls and where the call goes, the callee's own sidecar what becomes of it. */
async function explainLive(values: Values, io: Io, open: OpenCluster): Promise<number> {
  const local = await findLocalMesh(values, io);
  if (local !== null) {
    const model = await loadModel([relative(io.cwd, local.folder) || '.'], io.cwd);
    return judge(model, values, io, localSidecars(local, io));
  }
  return runInCluster(
    { name: 'explain', io, open },
    () => values,
    async (cluster) => {
      const { resources, problems, whole } = await readCluster(cluster.client);
      const model = modelOf(resources, problems, whole);
      return judge(model, values, io, clusterSidecars(cluster));
    },
  );
}

/** @param sidecars of a mesh that runs; left out: what the resources say counts */
async function judge(
  model: MeshModel,
  values: Values,
  io: Io,
  sidecars?: Sidecars,
): Promise<number> {
  printProblems(model.problems, io);
  const { judged, way, inbound } = await explainCall(model, callOf(values));
  const live = sidecars === undefined ? null : await askSidecars(sidecars, judged, io);
  const [first] = live?.answers ?? [];
  const isJson = values.output === 'json';
  const shown =
    first === undefined ? judged : asEnforced(judged, isJson ? first : allPrintable(first));
  if (isJson) {
    const enforced = live === null ? {} : { enforced: live.answers };
    io.stdout.write(`${printableJson({ ...renderJson(shown), way, inbound, ...enforced })}\n`);
  } else {
    const lines = [...wayLines(way, judged.workload, io.tty), ...inboundLines(inbound)];
    const whole = renderText(shown, io.tty, lines);
    const further = live === null ? [] : enforcedLines(judged, live, io.tty);
    io.stdout.write([whole, ...further.map((line) => `${line}\n`)].join(''));
  }
  const decisions = live?.answers.map(({ decision }) => decision) ?? [];
  return [shown.outcome.decision, ...decisions].every((one) => one === 'allow') ? 0 : 1;
}

/** Null: none answers, so that what the resources say counts. */
async function askSidecars(
  sidecars: Sidecars,
  judged: JudgedCall,
  io: Io,
): Promise<EnforcedAnswers | null> {
  io.stderr.write(`asking ${sidecars.title}\n`);
  const { namespace, name } = judged.workload;
  const found = await askCallee(await sidecars.list(namespace), judged);
  noteFailures(found.failures, io.stderr);
  if (found.answers.length > 0) return found;
  io.stderr.write(
    `no sidecar of ${namespace}/${name} answers: this is what the resources say, enforced or not\n`,
  );
  return null;
}

const text = { type: 'string' } as const;
const options = {
  ...meshOptions,
  live: { type: 'boolean' },
  from: text,
  to: text,
  method: text,
  path: text,
  host: text,
  port: text,
  ip: text,
  'destination-ip': text,
  sni: text,
  token: text,
  authorizer: text,
  output: text,
  tcp: { type: 'boolean' },
  header: { type: 'string', multiple: true },
} as const;

type Values = ReturnType<typeof readArguments<typeof options>>['values'];

function callOf(values: Values): MeshCall {
  const { from, to, output, authorizer } = values;
  if (from === undefined) throw new CallError('say who calls: --from NAMESPACE/ACCOUNT, or none');
  if (to === undefined) throw new CallError('say who is called: --to NAMESPACE/WORKLOAD');
  if (output !== undefined && output !== 'text' && output !== 'json') {
    throw new CallError(`--output is "text" or "json", not "${output}"`);
  }
  if (authorizer !== undefined && authorizer !== 'allow' && authorizer !== 'deny') {
    throw new CallError(`--authorizer is "allow" or "deny", not "${authorizer}"`);
  }
  const { method, path, host, ip, tcp, sni, 'destination-ip': destinationIp } = values;
  const { headers, token } = headersAndToken(values);
  const port = values.port === undefined ? undefined : readPort(values.port);
  return {
    from,
    to,
    port,
    method,
    path,
    host,
    ip,
    tcp,
    headers,
    token,
    authorizer,
    ...(sni !== undefined && { sni }),
    ...(destinationIp !== undefined && { destinationIp }),
  };
}

function readPort(text: string): number {
  const port = Number(text);
  if (/^\d+$/.test(text) && port >= 1 && port <= 65_535) return port;
  throw new CallError(`--port is a number from 1 to 65535, not "${text}"`);
}

/** A token is a JSON web token, sent as a bearer, or its claims as JSON, which then count as signed. */
function headersAndToken(values: Values): Pick<MeshCall, 'headers' | 'token'> {
  const headers: Record<string, string[]> = {};
  for (const line of values.header ?? []) {
    const [, name, value] = /^([^\s=:]+)[=:]\s*(.*)$/.exec(line) ?? [];
    if (name === undefined || value === undefined) {
      throw new CallError(`--header is NAME=VALUE, not "${line}"`);
    }
    (headers[name] ??= []).push(value);
  }
  const { token } = values;
  if (token === undefined) return { headers };
  if (!token.startsWith('{')) {
    (headers['authorization'] ??= []).push(`Bearer ${token}`);
    return { headers };
  }
  return { headers, token: readClaims(token) };
}

function readClaims(text: string): Readonly<Record<string, unknown>> {
  try {
    return JSON.parse(text) as Readonly<Record<string, unknown>>;
  } catch (error) {
    throw new CallError(`--token begins like claims, but is no JSON: ${String(error)}`, {
      cause: error,
    });
  }
}
