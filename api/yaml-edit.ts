// Changes documents of a YAML text in place: those that stay are kept byte for byte, and the others keep their comments.
import {
  type Document,
  isAlias,
  isCollection,
  isMap,
  isSeq,
  type Node,
  parseAllDocuments,
  stringify,
  visit,
} from 'yaml';

import { equalJson, type PatchOperation } from './injection/json-patch.ts';
import { flatten, Refusal } from './yaml-flatten.ts';
import { readYaml, yamlLimits, yamlOptions } from './yaml.ts';

/** An object that stands in two places is written twice: nobody wants anchors that they did not write. */
const plain = { aliasDuplicateObjects: false } as const;

/** What becomes of a document. */
export interface DocumentEdit {
  /** From the document's value as it is written to `value`. */
  readonly operations: readonly PatchOperation[];
  readonly value: unknown;
}

/**
 * @param text that `readYaml` finds no error in
 * @param edit is asked for each document, by its plain value; null leaves it
 */
export function editYaml(text: string, edit: (value: unknown) => DocumentEdit | null): string {
  const documents = [...parseAllDocuments(text, yamlOptions)];
  const starts = documents.map(({ range }, i) => (i === 0 ? 0 : (range?.[0] ?? text.length)));
  const parts = documents.map((document, i) => {
    const source = text.slice(starts[i], starts[i + 1] ?? text.length);
    const flat = flatten(document, yamlLimits);
    const change = flat instanceof Refusal || flat.value === null ? null : edit(flat.value);
    return change === null || change.operations.length === 0
      ? source
      : rewritten(document, source, change);
  });
  return parts.join('');
}

function rewritten(document: Document.Parsed, source: string, change: DocumentEdit): string {
  const edited = editedText(document, source, change.operations);
  // Aliases, merges and keys of other types are read otherwise than they are written: then the value is written anew.
  if (edited !== null && readsAs(edited, change.value)) return edited;
  const marker = /^---/m.test(source) ? '---\n' : '';
  return (
    marker + stringify(change.value, { ...plain, version: '1.1', lineWidth: 0, ...styleOf(source) })
  );
}

function readsAs(text: string, value: unknown): boolean {
  const { documents, problems } = readYaml(text, '');
  return problems.length === 0 && documents.length === 1 && equalJson(documents[0]?.value, value);
}

function editedText(
  document: Document.Parsed,
  source: string,
  operations: readonly PatchOperation[],
): string | null {
  if (hasAliases(document) || !operations.every((operation) => apply(document, operation))) {
    return null;
  }
  const text = document.toString({ lineWidth: 0, ...styleOf(source) });
  // A comment before the first document belongs to the text, not to the document.
  return text.endsWith('\n') ? text : `${text}\n`;
}

function hasAliases(document: Document.Parsed): boolean {
  let found = false;
  visit(document, {
    Alias: () => {
      found = true;
      return visit.BREAK;
    },
  });
  return found;
}

/** How the author writes lists and braces. */
function styleOf(source: string): { indentSeq: boolean; flowCollectionPadding: boolean } {
  return {
    indentSeq: !/^( *)(?:- )*[^\s#-][^\n]*:\n\1- /m.test(source),
    flowCollectionPadding: !/\{[^\s}]/.test(source),
  };
}

/** Changes the document; false where its tree has no such place. */
function apply(document: Document.Parsed, operation: PatchOperation): boolean {
  const keys = operation.path.split('/').slice(1).map(unescaped);
  const last = keys.pop();
  let parent: unknown = document.contents;
  for (const key of [...keys, null]) {
    if (!isCollection(parent)) return false;
    // What is added is easier to read in lines of its own.
    parent.flow = false;
    if (key !== null) parent = isSeq(parent) ? parent.items[Number(key)] : parent.get(key, true);
  }
  if (last === undefined || isAlias(parent)) return false;
  const node =
    operation.op === 'remove' ? null : (document.createNode(operation.value, plain) as Node);
  if (isMap(parent)) {
    if (operation.op !== 'add' && !parent.has(last)) return false;
    if (node === null) parent.delete(last);
    else parent.set(last, node);
    return true;
  }
  if (!isSeq(parent)) return false;
  const removed = operation.op === 'add' ? 0 : 1;
  parent.items.splice(Number(last), removed, ...(node === null ? [] : [node]));
  return true;
}

function unescaped(key: string): string {
  return key.replaceAll('~1', '/').replaceAll('~0', '~');
}
