// `selvage explain`: whether a call is allowed, which rule decides, and for a denial what came nearest.
import { readArguments } from './arguments.ts';
import type { MeshCall } from './calls/mesh-call.ts';
import { CallError } from './calls/failure.ts';
import { inboundLines } from './calls/inbound-rule.ts';
import { explainCall } from './calls/explain-call.ts';
import { loadModel, type MeshModel, modelOf } from './calls/model.ts';
import { printProblems } from './calls/problems.ts';
import { renderJson, renderText } from './calls/render.ts';
import { wayLines } from './calls/way-text.ts';
import { clusterOptions, openCluster, type OpenCluster, runInCluster } from './cluster/cluster.ts';
import { readCluster } from './cluster/resources.ts';
import type { Io } from './io.ts';

/** Exit status 0: allowed; 1: not; 2: wrong usage, or the files or the cluster do not say. */
export async function explain(
  args: string[],
  io: Io,
  open: OpenCluster = openCluster,
): Promise<number> {
  try {
    const { values, positionals } = readArguments(args, options);
    if (values.live === true) {
      if (positionals.length > 0) throw new CallError('--live takes no PATH');
      return await runInCluster(
        { name: 'explain', io, open },
        () => values,
        async ({ client }) => {
          const { resources, problems, whole } = await readCluster(client);
          return judge(modelOf(resources, problems, whole), values, io);
        },
      );
    }
    if (positionals.length === 0) throw new CallError('give the files or folders of YAML');
    return await judge(await loadModel(positionals, io.cwd), values, io);
  } catch (error) {
    if (!(error instanceof CallError)) throw error;
    io.stderr.write(`selvage explain: ${error.message}\n`);
    return 2;
  }
}

async function judge(model: MeshModel, values: Values, io: Io): Promise<number> {
  printProblems(model.problems, io);
  const { judged, way, inbound } = await explainCall(model, callOf(values));
  const data = { ...renderJson(judged), way, inbound };
  const json = `${JSON.stringify(data, null, 2)}\n`;
  const lines = [...wayLines(way, judged.workload, io.tty), ...inboundLines(inbound)];
  const text = renderText(judged, io.tty, lines);
  io.stdout.write(values.output === 'json' ? json : text);
  return judged.outcome.decision === 'allow' ? 0 : 1;
}

const text = { type: 'string' } as const;
const options = {
  ...clusterOptions,
  live: { type: 'boolean' },
  from: text,
  to: text,
  method: text,
  path: text,
  host: text,
  port: text,
  ip: text,
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
  const { method, path, host, ip, tcp } = values;
  const { headers, token } = headersAndToken(values);
  const port = values.port === undefined ? undefined : readPort(values.port);
  return { from, to, port, method, path, host, ip, tcp, headers, token, authorizer };
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
