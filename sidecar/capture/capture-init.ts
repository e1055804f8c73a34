// The init container's program: sets the rules of capture, takes them away (--remove), or prints them (--print).
import { networkInterfaces } from 'node:os';

import { createLog, type Log } from '#runtime/log.ts';
import { SettingsError } from '#runtime/settings.ts';

import { readResolvConf } from '../dns/resolv-conf.ts';
import {
  addLoopbackAddress,
  chooseIptables,
  removeLoopbackAddress,
  type Iptables,
} from './iptables.ts';
import {
  passthroughSource,
  removeText,
  restoreText,
  rulesOf,
  type Family,
  type RuleSettings,
} from './rules.ts';
import { cidr, readCaptureInitSettings, type CaptureInitSettings } from './settings.ts';

const usage = 'usage: capture-init [--print | --remove]';
const families: readonly Family[] = [4, 6];

process.exitCode = await main(process.argv.slice(2));

/** Exit status 2: wrong settings or arguments; 1: the rules could not be set. */
async function main(args: readonly string[]): Promise<number> {
  const [mode = '--apply', ...rest] = args;
  if (rest.length > 0 || !['--apply', '--print', '--remove'].includes(mode)) {
    process.stderr.write(`${usage}\n`);
    return 2;
  }
  let settings: CaptureInitSettings;
  try {
    settings = readCaptureInitSettings();
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    process.stderr.write(`selvage capture-init: ${error.message}\n`);
    return 2;
  }
  if (mode === '--print') return print(await ruleSettings(settings));
  const log = createLog('capture-init', settings.logLevel);
  try {
    for (const family of families) {
      if (mode === '--remove') await remove(settings, family, log);
      else await apply(settings, family, log);
    }
    return 0;
  } catch (error) {
    log.error({ error }, 'the rules of capture cannot be set; the pod must not run without them');
    return 1;
  }
}

/** What the pod's own resolver asks is what it is to be asked in place of. */
async function ruleSettings(settings: CaptureInitSettings): Promise<RuleSettings> {
  if (settings.dnsPort === 0) return settings;
  const { servers } = await readResolvConf();
  const usable = servers.filter((server) => !server.includes('%'));
  return { ...settings, dnsServers: usable.map((server) => cidr(server)) };
}

function print(settings: RuleSettings): number {
  for (const family of families) {
    process.stdout.write(`# IPv${family}\n${restoreText(rulesOf(settings, family), '') ?? ''}`);
  }
  return 0;
}

async function apply(settings: CaptureInitSettings, family: Family, log: Log): Promise<void> {
  const iptables = await choose(settings, family, log);
  if (iptables === null) return;
  if (family === 6) await prepareIpv6(settings.path, log);
  const saved = await iptables.save();
  const text = restoreText(rulesOf(await ruleSettings(settings), family), saved);
  if (text !== null) await iptables.restore(text);
  const [program, changed] = [iptables.name, text !== null];
  log.info({ program, changed }, changed ? 'rules of capture set' : 'rules of capture are there');
}

async function remove(settings: CaptureInitSettings, family: Family, log: Log): Promise<void> {
  const iptables = await choose(settings, family, log);
  if (iptables === null) return;
  const text = removeText(await iptables.save());
  if (text !== null) await iptables.restore(text);
  if (family === 6) await removeLoopbackAddress(passthroughSource[6], settings.path);
  const [program, changed] = [iptables.name, text !== null];
  log.info({ program, changed }, changed ? 'rules of capture removed' : 'no rules of capture here');
}

/** Null: there is no IPv6 here. A pod that has it and no rules would be open to everybody by it. */
async function choose(
  settings: CaptureInitSettings,
  family: Family,
  log: Log,
): Promise<Iptables | null> {
  const troubles: string[] = [];
  const iptables = await chooseIptables(family, settings.iptables, settings.path, troubles);
  if (iptables !== null) return iptables;
  const why = troubles.join('; ');
  if (family === 4 || hasIpv6()) throw new Error(`no iptables works for IPv${family}: ${why}`);
  log.info({ why }, 'no rules for IPv6: the pod has no address of it');
  return null;
}

async function prepareIpv6(path: string, log: Log): Promise<void> {
  const address = passthroughSource[6];
  const trouble = await addLoopbackAddress(address, path);
  if (trouble === '') return;
  const problem = `${address} cannot be given to lo: ${trouble}`;
  if (hasIpv6()) throw new Error(problem);
  log.debug({ problem }, 'connections by IPv6 do not reach the application; the pod has none');
}

/** An address that others can reach. */
function hasIpv6(): boolean {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .some(({ family, internal, scopeid }) => family === 'IPv6' && !internal && scopeid === 0);
}
