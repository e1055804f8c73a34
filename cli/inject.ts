// `selvage inject`: manifests as the cluster's injector would make them, without a cluster.
import { injectManifest, type StanceOfNamespace } from '#api/injection/inject-manifest.ts';
import type { InjectionConfig } from '#api/injection/config.ts';
import { stanceOf } from '#api/injection.ts';
import { diffJson, type PatchOperation } from '#api/injection/json-patch.ts';
import type { TextFile } from '#api/load.ts';
import { nameOf } from '#api/origin.ts';
import { type Fields, isFields } from '#api/read-meta.ts';
import { editYaml } from '#api/yaml-edit.ts';
import { readYaml } from '#api/yaml.ts';
import { readInjectionConfig } from '#injector/injection-fields.ts';
import { SettingsError } from '#runtime/settings.ts';

import { readArguments } from './arguments.ts';
import { CallError } from './calls/failure.ts';
import { placeAndMessage, printProblems } from './calls/problems.ts';
import type { Io } from './io.ts';
import { readPaths } from './paths.ts';

const text = { type: 'string' } as const;
const options = {
  file: { type: 'string', short: 'f', multiple: true },
  output: { type: 'string', short: 'o' },
  config: text,
  image: text,
  namespace: { type: 'string', short: 'n' },
} as const;

/** Exit status 0: all that asks for a sidecar has one; 1: something cannot have one; 2: wrong usage. */
export async function inject(
  args: string[],
  io: Io,
  stdin: AsyncIterable<Buffer> = process.stdin,
): Promise<number> {
  try {
    const { values, positionals } = readArguments(args, options);
    const { output = 'yaml' } = values;
    if (output !== 'yaml' && output !== 'json') {
      throw new CallError(`--output is "yaml" or "json", not "${output}"`);
    }
    const paths = [...(values.file ?? []), ...positionals];
    if (paths.length === 0) throw new CallError('give the manifests: -f FILE, or -f - for stdin');
    const config = await readConfig(values.config, values.image, io.cwd);
    const read = await readPaths(paths, io.cwd, stdin);
    const run = new Run(config, read.files, values.namespace ?? 'default');
    const texts = read.files.map((file) => run.file(file));
    printProblems([...read.problems, ...run.problems], io);
    for (const note of run.notes) io.stderr.write(`${note}\n`);
    if (read.problems.length > 0 || run.isBad) return 1;
    if (run.injected === 0) {
      io.stderr.write('nothing was injected: no workload says inject: "true"\n');
    }
    io.stdout.write(output === 'json' ? jsonOf(run.objects) : joined(texts));
    return 0;
  } catch (error) {
    if (!(error instanceof CallError)) throw error;
    io.stderr.write(`selvage inject: ${error.message}\n`);
    return 2;
  }
}

/** One run over all files. */
class Run {
  readonly problems: ReturnType<typeof readYaml>['problems'] = [];
  readonly notes: string[] = [];
  readonly objects: unknown[] = [];
  injected = 0;
  #refused = 0;
  readonly #config: InjectionConfig;
  readonly #stances: StanceOfNamespace;
  readonly #namespace: string;

  constructor(config: InjectionConfig, files: readonly TextFile[], namespace: string) {
    this.#config = config;
    this.#stances = stancesIn(files);
    this.#namespace = namespace;
  }

  get isBad(): boolean {
    return this.#refused > 0 || this.problems.some(({ severity }) => severity === 'error');
  }

  /** The file's text, with sidecars. */
  file({ file, text }: TextFile): string {
    const { documents, problems } = readYaml(text, file);
    this.problems.push(...problems);
    if (problems.some(({ severity }) => severity === 'error')) return text;
    let index = 0;
    return editYaml(text, (value) => {
      const line = documents[index++]?.origin.line;
      const operations: PatchOperation[] = [];
      const changed = this.#object(value, '', operations, { file, line });
      this.objects.push(changed);
      return { operations, value: changed };
    });
  }

  /** A List is its items. */
  #object(value: unknown, path: string, into: PatchOperation[], place: Place): unknown {
    if (
      isFields(value) &&
      String(value['kind']).endsWith('List') &&
      Array.isArray(value['items'])
    ) {
      const items = value['items'].map((item: unknown, i) =>
        this.#object(item, `${path}/items/${i}`, into, place),
      );
      return { ...value, items };
    }
    const injection = injectManifest(value, this.#namespace, this.#stances, this.#config);
    if (injection === null) return value;
    const resource = this.#nameOf(value);
    if (injection.outcome === 'refused') {
      this.#refused++;
      this.notes.push(
        placeAndMessage({
          ...error,
          ...place,
          resource,
          message: `cannot have a sidecar: ${injection.refusal}`,
        }),
      );
      return value;
    }
    if (injection.outcome === 'injected') this.injected++;
    for (const message of injection.warnings) {
      this.notes.push(placeAndMessage({ ...error, ...place, resource, message }));
    }
    for (const operation of diffJson(value, injection.pod)) {
      into.push({ ...operation, path: `${path}${operation.path}` });
    }
    return injection.pod;
  }

  #nameOf(value: unknown): string {
    const { kind, metadata } = value as Fields;
    const { name, namespace } = isFields(metadata) ? metadata : {};
    const shown = {
      name: typeof name === 'string' ? name : '',
      namespace: typeof namespace === 'string' ? namespace : this.#namespace,
    };
    return nameOf({ kind: String(kind), metadata: shown });
  }
}

interface Place {
  readonly file: string;
  readonly line?: number;
}

const error = { severity: 'error', code: 'inject' } as const;

/** The namespaces that stand in the files say whether they opt in. */
function stancesIn(files: readonly TextFile[]): StanceOfNamespace {
  const known = new Map<string, ReturnType<typeof stanceOf>>();
  for (const { text, file } of files) {
    for (const { value } of readYaml(text, file).documents) {
      if (!isFields(value) || value['kind'] !== 'Namespace') continue;
      const { name, labels } = isFields(value['metadata']) ? value['metadata'] : {};
      if (isFields(labels)) known.set(String(name), stanceOf(labels as Record<string, string>));
    }
  }
  return (namespace) => known.get(namespace) ?? 'silent';
}

/** The ConfigMap of the injector, as the cluster has it; without it the defaults. */
async function readConfig(
  file: string | undefined,
  image: string | undefined,
  cwd: string,
): Promise<InjectionConfig> {
  const values: Record<string, string> = {};
  if (file !== undefined) {
    const { files, problems } = await readPaths([file], cwd);
    const documents = files.flatMap((one) => readYaml(one.text, one.file).documents);
    const map = documents.map(({ value }) => value).find(isConfigMap);
    if (problems.length > 0 || map === undefined) {
      throw new CallError(`--config ${file}: this is no file with the ConfigMap of the injector`);
    }
    for (const [name, value] of Object.entries(map.data)) values[name] = String(value);
  }
  if (image !== undefined) values['SELVAGE_INJECT_IMAGE'] = image;
  try {
    return readInjectionConfig(values);
  } catch (error) {
    if (error instanceof SettingsError) throw new CallError(error.message, { cause: error });
    throw error;
  }
}

function isConfigMap(value: unknown): value is { readonly data: Fields } {
  if (!isFields(value) || value['kind'] !== 'ConfigMap' || !isFields(value['data'])) return false;
  return Object.keys(value['data']).some((name) => name.startsWith('SELVAGE_INJECT_'));
}

function jsonOf(objects: readonly unknown[]): string {
  const [first] = objects;
  const whole = objects.length === 1 ? first : { apiVersion: 'v1', kind: 'List', items: objects };
  return `${JSON.stringify(whole, null, 2)}\n`;
}

/** Files as one stream of documents. */
function joined(texts: readonly string[]): string {
  let stream = '';
  for (const part of texts) {
    if (stream !== '' && !stream.endsWith('\n')) stream += '\n';
    stream += stream === '' || part.startsWith('---') ? part : `---\n${part}`;
  }
  return stream;
}
