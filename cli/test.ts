// `selvage test PATH...`: the calls of PolicyTest documents, judged by the policies beside them.
import { type PolicyTestDocument, policyTestSpec } from '#api/kinds/policy-test.ts';
import { placeOf } from '#api/origin.ts';

import { readArguments } from './arguments.ts';
import { CallError } from './calls/failure.ts';
import { loadModel, type MeshModel } from './calls/model.ts';
import { printProblems } from './calls/problems.ts';
import { reasonLines } from './calls/render.ts';
import type { Io } from './io.ts';
import { paint } from './table.ts';
import { type CallResult, checkCall } from './calls/check-call.ts';

/** Exit status 0: all passed; 1: some failed; 2: wrong usage or nothing to test. */
export async function test(args: string[], io: Io): Promise<number> {
  try {
    const { positionals: paths } = readArguments(args, {});
    if (paths.length === 0) throw new CallError('give the files or folders of YAML');
    const model = await loadModel(paths, io.cwd);
    printProblems(model.problems, io);
    if (model.tests.length === 0) throw new CallError(`no PolicyTest in ${paths.join(', ')}`);
    return await runTests(model, io);
  } catch (error) {
    if (!(error instanceof CallError)) throw error;
    io.stderr.write(`selvage test: ${error.message}\n`);
    return 2;
  }
}

async function runTests(model: MeshModel, io: Io): Promise<number> {
  let passed = 0;
  let failed = 0;
  for (const document of model.tests) {
    const { namespace, name } = document.metadata;
    io.stdout.write(`${namespace}/${name}\n`);
    for (const result of await runTest(model, document)) {
      if (result.ok) passed += 1;
      else failed += 1;
      io.stdout.write(report(result, document, io.tty));
    }
  }
  // A policy that could not be loaded makes every answer doubtful.
  const errors = model.problems.filter(({ severity }) => severity === 'error').length;
  const left = errors === 0 ? '' : `, ${errors} resource${errors === 1 ? '' : 's'} left out`;
  io.stdout.write(`${passed} passed, ${failed} failed${left}\n`);
  return failed === 0 && errors === 0 ? 0 : 1;
}

async function runTest(model: MeshModel, test: PolicyTestDocument): Promise<CallResult[]> {
  const spec = policyTestSpec.safeParse(test.document['spec']);
  if (!spec.success) {
    const [issue] = spec.error.issues;
    const path = ['spec', ...(issue?.path ?? [])].map(String).join('.');
    const { file = '', line = 1 } = placeOf(test.origin, '');
    throw new CallError(
      `${file}:${line}: PolicyTest ${test.metadata.name}: ${path}: ${issue?.message}`,
    );
  }
  const results: CallResult[] = [];
  for (const [index, call] of spec.data.calls.entries()) {
    results.push(await checkCall(model, call, index));
  }
  return results;
}

function report(result: CallResult, document: PolicyTestDocument, tty: boolean): string {
  if (result.ok) return `  ${paint('✓', 'green', tty)} ${result.title}\n`;
  const { file, line } = placeOf(document.origin, `spec.calls[${result.index}]`);
  const where = file === undefined ? '' : ` (${file}:${line})`;
  const head = `  ${paint('✗', 'red', tty)} ${result.title}${where}\n      ${result.difference}\n`;
  const { judged } = result;
  if (judged === null) return head;
  return (
    head +
    reasonLines(judged, tty)
      .map((text) => `      ${text}\n`)
      .join('')
  );
}
