// The files of docs/reference, which are written from code: kinds, commands, settings, and what a sidecar answers of its own.
import { caFields } from '#ca/settings.ts';
import { controlFields } from '#control/settings.ts';
import { injectionFields } from '#injector/injection-fields.ts';
import { injectorFields } from '#injector/settings.ts';
import type { Field } from '#runtime/settings.ts';
import { failures } from '#sidecar/failures.ts';
import { sidecarFields } from '#sidecar/settings.ts';

import { stepAfter } from '../calls/next-step.ts';
import { commands } from '../commands.ts';
import { kindPages } from './kinds.ts';
import { table } from './markdown.ts';

const notice = '<!-- Written by `npm run manifests`: edit the code it names, not this file. -->\n';

/** Text by path within docs/reference. */
export function referencePages(): ReadonlyMap<string, string> {
  const kinds = kindPages();
  const pages: [path: string, text: string][] = [
    ['commands.md', commandsPage()],
    ['settings.md', settingsPage()],
    ['failures.md', failuresPage()],
    ...kinds.map(({ kind, text }): [string, string] => [`${kind.toLowerCase()}.md`, text]),
  ];
  const index =
    '# Reference\n\n- [Commands](commands.md)\n- [Settings of each process](settings.md)\n' +
    '- [What a sidecar answers of its own](failures.md): status, response flag, details\n\n' +
    `${table(
      ['kind', 'apiVersion', 'what it is for'],
      kinds.map(({ kind, versions, about }) => [
        `[${kind}](${kind.toLowerCase()}.md)`,
        versions,
        about,
      ]),
    )}\n\nHTTPRoute, GRPCRoute and ReferenceGrant are the Gateway API's own, on Services (GAMMA).\n`;
  const all: [path: string, text: string][] = [['README.md', index], ...pages];
  return new Map(all.map(([path, text]) => [path, notice + text]));
}

function commandsPage(): string {
  const all = Object.values(commands).map(({ usage, summary, options, statuses }) => {
    const rows = options.map(([option, meaning]) => [`\`${option}\``, meaning]);
    const list = rows.length === 0 ? '' : `\n\n${table(['option', 'what it does'], rows)}`;
    return `## selvage ${usage}\n\n${capital(summary)}.${list}\n\nExit status ${statuses}.\n`;
  });
  return `# Commands\n\n${all.join('\n')}`;
}

function settingsPage(): string {
  const processes: [name: string, fields: readonly Field[]][] = [
    ['sidecar', sidecarFields],
    ['control', controlFields],
    ['ca', caFields],
    ['injector', [...injectorFields, ...injectionFields]],
  ];
  const parts = processes.map(([name, fields]) => {
    const rows = fields.map((field) => [
      `\`${field.env}\``,
      field.default === undefined ? 'required' : code(field.default),
      field.doc,
    ]);
    return `## ${name}\n\n${table(['variable', 'default', 'what it is'], rows)}\n`;
  });
  const about =
    'Each process reads its environment once, when it starts, and tells all mistakes at once. In a cluster the ' +
    'manifests and the webhook set what is needed.';
  return `# Settings\n\n${about}\n\n${parts.join('\n')}`;
}

function failuresPage(): string {
  const rows = Object.values(failures).map((one) => [
    code(one.code),
    one.status === 0 ? 'none' : String(one.status),
    one.flag === '-' ? '' : code(one.flag),
    code(one.details),
    one.body === '' ? '' : code(one.body),
    stepAfter(one.code),
  ]);
  const about =
    'These answers a sidecar gives itself; all others are the application’s. The access log has status, flag (Envoy’s) ' +
    'and details of each, and says `why` in words. Each answer has an `x-selvage-id`: `selvage why ID` tells all of it.';
  const head = ['failure', 'status', 'flag', 'details', 'body', 'what to do'];
  return `# What a sidecar answers of its own\n\n${about}\n\n${table(head, rows)}\n`;
}

function code(text: string): string {
  return text === '' ? '' : `\`${text}\``;
}

function capital(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}
