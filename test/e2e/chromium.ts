// A real browser for a test, by its debugging protocol: opens pages, presses keys, tells what went over the network.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** CHROMIUM, else one of PATH; null: there is none. */
export function findChromium(): string | null {
  const given = process.env['CHROMIUM'] ?? '';
  if (given !== '') return existsSync(given) ? given : null;
  const names = ['chromium', 'chromium-browser', 'google-chrome', 'chrome'];
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  const all = folders.flatMap((folder) => names.map((name) => join(folder, name)));
  return all.find((path) => existsSync(path)) ?? null;
}

type Fields = Readonly<Record<string, unknown>>;

/** Of keys that do something by themselves. */
const keyCodes: Readonly<Record<string, Fields>> = {
  Enter: { windowsVirtualKeyCode: 13, text: '\r' },
  Escape: { windowsVirtualKeyCode: 27 },
};

export class Chromium {
  readonly #process: ChildProcess;
  readonly #folder: string;
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, PromiseWithResolvers<Fields>>();
  #session = '';
  #last = 0;
  /** What pages asked for. */
  readonly requests: string[] = [];
  /** Errors of scripts, of the console, of the content policy and of the network. */
  readonly errors: string[] = [];

  private constructor(child: ChildProcess, folder: string, socket: WebSocket) {
    this.#process = child;
    this.#folder = folder;
    this.#socket = socket;
    socket.addEventListener('message', ({ data }) =>
      this.#take(JSON.parse(String(data)) as Fields),
    );
  }

  static async start(program: string): Promise<Chromium> {
    const folder = await mkdtemp(join(tmpdir(), 'selvage-chromium-'));
    const options = ['--headless=new', '--remote-debugging-port=0', `--user-data-dir=${folder}`];
    // A container's user may have no namespaces of its own; the pages are ours.
    const plain = ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run'];
    // The browser itself is to call nobody.
    const quiet = [
      '--disable-background-networking',
      '--disable-component-update',
      '--no-proxy-server',
    ];
    const child = spawn(program, [...options, ...plain, ...quiet, 'about:blank'], {
      stdio: 'ignore',
    });
    const socket = new WebSocket(await endpointIn(folder, child));
    await new Promise((open, fail) => {
      socket.addEventListener('open', open);
      socket.addEventListener('error', fail);
    });
    const browser = new Chromium(child, folder, socket);
    const { targetId } = await browser.#send('Target.createTarget', { url: 'about:blank' });
    const { sessionId } = await browser.#send('Target.attachToTarget', { targetId, flatten: true });
    browser.#session = String(sessionId);
    for (const domain of ['Page', 'Runtime', 'Network', 'Log'])
      await browser.#send(`${domain}.enable`);
    return browser;
  }

  /** Opens an address and waits until its scripts have run. */
  async open(url: string): Promise<void> {
    await this.#send('Page.navigate', { url });
    await this.until("document.readyState === 'complete' && location.protocol === 'http:'");
  }

  /** The value of an expression in the page. */
  async read<T>(expression: string): Promise<T> {
    const { result, exceptionDetails } = await this.#send('Runtime.evaluate', {
      expression,
      returnByValue: true,
      awaitPromise: true,
    });
    if (exceptionDetails !== undefined) throw new Error(`${expression}: ${JSON.stringify(result)}`);
    return (result as Fields)['value'] as T;
  }

  /** Waits until an expression is true; pages may come and go meanwhile. */
  async until(expression: string): Promise<void> {
    const deadline = performance.now() + 20_000;
    for (;;) {
      const isSo = await this.read<boolean>(`Boolean(${expression})`).catch(() => false);
      if (isSo) return;
      if (performance.now() > deadline) throw new Error(`never came true: ${expression}`);
      await sleep(50);
    }
  }

  /** Presses and lets go: `g`, `Enter`. */
  async press(key: string): Promise<void> {
    const code = keyCodes[key] ?? {};
    const text = key.length === 1 ? { text: key } : {};
    await this.#send('Input.dispatchKeyEvent', { type: 'keyDown', key, ...text, ...code });
    await this.#send('Input.dispatchKeyEvent', { type: 'keyUp', key });
  }

  async look(scheme: 'light' | 'dark', width: number, height: number): Promise<void> {
    const features = [{ name: 'prefers-color-scheme', value: scheme }];
    await this.#send('Emulation.setEmulatedMedia', { features });
    const metrics = { width, height, deviceScaleFactor: 1, mobile: false };
    await this.#send('Emulation.setDeviceMetricsOverride', metrics);
  }

  async withoutScripts(off: boolean): Promise<void> {
    await this.#send('Emulation.setScriptExecutionDisabled', { value: off });
  }

  /** PNG. @param whole all of the page, not only what the window shows */
  async screenshot(whole = false): Promise<Buffer> {
    const options = { format: 'png', captureBeyondViewport: whole };
    const { data } = await this.#send('Page.captureScreenshot', options);
    return Buffer.from(String(data), 'base64');
  }

  async close(): Promise<void> {
    const ended = once(this.#process, 'exit');
    await this.#send('Browser.close').catch(() => undefined);
    await ended;
    this.#socket.close();
    await rm(this.#folder, { recursive: true, force: true, maxRetries: 5 });
  }

  async #send(method: string, params: Fields = {}): Promise<Fields> {
    this.#last += 1;
    const id = this.#last;
    const answer = Promise.withResolvers<Fields>();
    this.#waiting.set(id, answer);
    const session =
      this.#session === '' || method.startsWith('Browser.') ? {} : { sessionId: this.#session };
    this.#socket.send(JSON.stringify({ id, method, params, ...session }));
    return answer.promise;
  }

  #take({ id, method, params, result, error }: Fields): void {
    const waiting = this.#waiting.get(Number(id));
    if (waiting !== undefined) {
      this.#waiting.delete(Number(id));
      if (error === undefined) waiting.resolve((result ?? {}) as Fields);
      else waiting.reject(new Error(JSON.stringify(error)));
      return;
    }
    const said = JSON.stringify(params);
    if (method === 'Network.requestWillBeSent') {
      this.requests.push(String(((params as Fields)['request'] as Fields)['url']));
    } else if (method === 'Runtime.exceptionThrown') {
      this.errors.push(said);
    } else if (method === 'Runtime.consoleAPICalled' && (params as Fields)['type'] === 'error') {
      this.errors.push(said);
    } else if (method === 'Log.entryAdded') {
      const entry = (params as Fields)['entry'] as Fields;
      if (entry['level'] === 'error') this.errors.push(said);
    }
  }
}

/** The browser writes where it listens. */
async function endpointIn(folder: string, child: ChildProcess): Promise<string> {
  const deadline = performance.now() + 30_000;
  while (performance.now() < deadline && child.exitCode === null) {
    const text = await readFile(join(folder, 'DevToolsActivePort'), 'utf8').catch(() => '');
    const [port = '', path = ''] = text.split('\n');
    if (path !== '') return `ws://127.0.0.1:${port}${path}`;
    await sleep(50);
  }
  child.kill('SIGKILL');
  throw new Error('Chromium did not start');
}
