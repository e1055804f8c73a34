// The arguments of a subcommand, and what is wrong with them in a sentence.
import { parseArgs, type ParseArgsConfig } from 'node:util';

import { nearest } from '#api/spelling.ts';

import { CallError } from './calls/failure.ts';

type Options = NonNullable<ParseArgsConfig['options']>;
interface Config<O extends Options> {
  args: string[];
  allowPositionals: true;
  options: O;
}

/** Options may stand anywhere. @throws CallError that names the argument that is wrong */
export function readArguments<O extends Options>(
  args: string[],
  options: O,
): ReturnType<typeof parseArgs<Config<O>>> {
  try {
    return parseArgs<Config<O>>({ args, allowPositionals: true, options });
  } catch (error) {
    if (!isUsage(error)) throw error;
    throw new CallError(sentenceOf(error, Object.keys(options)), { cause: error });
  }
}

function isUsage(error: unknown): error is Error & { readonly code: string } {
  return (
    error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS')
  );
}

function sentenceOf({ code, message }: Error & { code: string }, names: readonly string[]): string {
  const [sentence = ''] = message.split('\n');
  const [, option = ''] = /'(-[^' ]+)/.exec(sentence) ?? [];
  if (code !== 'ERR_PARSE_ARGS_UNKNOWN_OPTION') {
    const missing = /argument missing|ambiguous/.test(sentence);
    return missing ? `${option} wants a value` : sentence;
  }
  const similar = nearest(option.replace(/^-+/, ''), names);
  const hint = similar === null ? '' : `; did you mean --${similar}?`;
  return `there is no option ${option}${hint}`;
}
