// The `selvage` command: finds the subcommand that is asked for, or helps.
import { nearest } from '#api/spelling.ts';

import manifest from '../package.json' with { type: 'json' };
import { commands } from './commands.ts';
import { type Io, processIo } from './io.ts';

process.exitCode = await run(process.argv.slice(2), processIo());

async function run(args: string[], io: Io): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined) {
    io.stderr.write(help());
    return 2;
  }
  if (name === '--version' || name === '-v' || name === 'version') {
    io.stdout.write(`${version()}\n`);
    return 0;
  }
  if (name === 'help' || name === '--help' || name === '-h') {
    const [of] = rest;
    if (of === undefined || Object.hasOwn(commands, of)) {
      io.stdout.write(of === undefined ? help() : helpOf(of));
      return 0;
    }
    return unknown(of, io);
  }
  const entry = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (entry === undefined) return unknown(name, io);
  if (rest.includes('--help') || rest.includes('-h')) {
    io.stdout.write(helpOf(name));
    return 0;
  }
  const command = await entry.load();
  return command(rest, io);
}

function unknown(name: string, io: Io): number {
  const similar = nearest(name, Object.keys(commands));
  const hint = similar === null ? `\n\n${help()}` : `; did you mean ${similar}?\n`;
  io.stderr.write(`selvage: there is no command ${name}${hint}`);
  return 2;
}

function help(): string {
  const rows = Object.entries(commands).map(([name, { usage, summary }]) => {
    // All words that are no option: `diff OLD NEW`.
    const [, takes = ''] = /^\S+ ([^[\]|]*?)(?: ?[[|-].*)?$/.exec(usage) ?? [];
    return `  ${`${name} ${takes || '...'}`.padEnd(19)}${summary}\n`;
  });
  return `Usage: selvage COMMAND ...\n\n${rows.join('')}\nselvage COMMAND --help tells its options, selvage --version the version.\n`;
}

function helpOf(name: string): string {
  const entry = commands[name];
  if (entry === undefined) return help();
  const { usage, summary, options, statuses } = entry;
  const rows = options.map(([option, meaning]) => `  ${option.padEnd(25)}${meaning}\n`);
  const table = rows.length === 0 ? '' : `\n${rows.join('')}`;
  const ends = statuses.includes('2: ') ? statuses : `${statuses}; 2: wrong usage`;
  return `Usage: selvage ${usage}\n\n  ${summary}\n${table}\nExit status: ${ends}.\n`;
}

function version(): string {
  return `selvage ${manifest.version} (Node ${process.version.slice(1)})`;
}
