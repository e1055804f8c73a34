// Which methods of gRPC the requests of HTTP stand for, compiled from a descriptor set.
import type { GrpcJsonSpec } from '#api/kinds/transformation.ts';

import { pathEnd } from '#policy/conditions/request.ts';
import { type HttpRule, readHttpRules } from './http-rule.ts';
import { compileTemplate, type PathTemplate } from './path-template.ts';
import { bindText } from './grpc-fields.ts';
import {
  type Descriptors,
  type MessageType,
  type MethodType,
  readDescriptors,
} from './protobuf-descriptor.ts';

export interface Binding {
  readonly rule: HttpRule;
  readonly template: PathTemplate;
  /** `/pkg.Service/Method`. */
  readonly path: string;
  readonly streams: boolean;
  readonly input: MessageType;
  readonly output: MessageType;
}

export interface Found {
  readonly binding: Binding;
  readonly variables: readonly (readonly [field: string, value: string])[];
}

/** Throws where the set or a service cannot be used; a binding that cannot be is a problem. */
export function compileBindings(
  { descriptorSet, services }: GrpcJsonSpec,
  onProblem: (why: string) => void,
): Binding[] {
  const known = readDescriptors(Buffer.from(descriptorSet, 'base64'));
  const bindings: Binding[] = [];
  for (const service of services) {
    const methods = known.services.get(service);
    if (methods === undefined) throw new Error(`the descriptor set has no service ${service}`);
    for (const method of methods) {
      try {
        bindings.push(...bindingsOf(service, method, known));
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error);
        onProblem(`grpcJson: ${service}.${method.name}: ${why}`);
      }
    }
  }
  return bindings.toSorted((a, b) => compare(a.template.rank, b.template.rank));
}

export function findBinding(
  bindings: readonly Binding[],
  method: string,
  path: string,
): Found | null {
  const parts = path.slice(1, pathEnd(path)).split('/');
  for (const binding of bindings) {
    const { rule, template } = binding;
    if (rule.method !== method && rule.method !== '*') continue;
    const variables = template.match(parts);
    if (variables !== null) return { binding, variables };
  }
  return null;
}

/** A method that says nothing of HTTP is called by its own path. */
function bindingsOf(service: string, method: MethodType, known: Descriptors): Binding[] {
  const path = `/${service}/${method.name}`;
  const itself: HttpRule = { method: 'POST', template: path, body: '*', responseBody: '' };
  const rules = method.http === null ? [itself] : readHttpRules(method.http);
  const input = typeOf(method.input, known);
  const output = typeOf(method.output, known);
  return rules.map((rule) => {
    const template = compileTemplate(rule.template);
    if (rule.method === 'HEAD' || rule.method === 'CONNECT') {
      throw new Error(`${rule.method} cannot be transcoded`);
    }
    for (const variable of template.variables) bindText(input, {}, variable, 'true', true);
    if (rule.body !== '' && rule.body !== '*') needField(input, rule.body);
    if (rule.responseBody !== '') needField(output, rule.responseBody);
    return { rule, template, path, streams: method.streams, input, output };
  });
}

function typeOf(name: string, { messages }: Descriptors): MessageType {
  const type = messages.get(name);
  if (type === undefined) throw new Error(`${name} is not in the descriptor set`);
  return type;
}

function needField(type: MessageType, name: string): void {
  if (!type.named.has(name)) throw new Error(`${type.name} has no field ${name}`);
}

function compare(a: string, b: string): number {
  return a === b ? 0 : a < b ? -1 : 1;
}
