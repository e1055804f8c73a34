// Filter: where its text is, and times that are none.
import type { FilterSpec } from '../kinds/filter.ts';
import type { Finding } from '../origin.ts';
import type { Resource } from '../resource.ts';
import { adder } from './adder.ts';
import { durationFault } from './durations.ts';
import { extensionFindings } from './extension.ts';
import { checkRequestMatches } from './request-match.ts';

const code = 'filter-invalid';

export function validateFilter({ spec }: Resource<string, FilterSpec>): Finding[] {
  const findings = extensionFindings('a Filter', spec, code);
  const add = adder(findings, 'error', code);
  const { file, source, timeout, match } = spec;
  checkRequestMatches(match, 'spec', add);
  if ((file === undefined) === (source === undefined)) {
    add('spec', 'a Filter has one of file and source', 'name the .ts file, or write its text');
  }
  if (file !== undefined && !isBeside(file)) {
    const message = `"${file}" is no .ts file in or below the folder of this one`;
    add('spec.file', message, 'write it as filters/redact.ts');
  }
  if (source !== undefined && !/\bexport\b/.test(source)) {
    add('spec.source', 'it exports nothing', 'export a function onRequest or onResponse');
  }
  const fault = durationFault(timeout);
  if (fault !== null) add('spec.timeout', `timeout: ${fault}`);
  return findings;
}

function isBeside(file: string): boolean {
  return file.endsWith('.ts') && !/^\/|\\|\0/.test(file) && !file.split('/').includes('..');
}
