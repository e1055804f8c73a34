// `/inspect`: a call that somebody describes or pastes, and its verdict, step by step, by the sidecar itself.
import { knownCallers } from '../callers.ts';
import type { Collector } from '../collector.ts';
import type { Page } from '../frame.ts';
import { html, type Html, queryOf } from '../html.ts';
import { type CallForm, FormError, inspect } from '../inspection.ts';
import { readPastedCall } from '../pasted-call.ts';
import { verdict } from './verdict.ts';

/** A page, or the address to go to. */
export async function inspectPage(
  collector: Collector,
  query: URLSearchParams,
): Promise<Page | string> {
  const pasted = query.get('call') ?? '';
  const workloads = await workloadsOf(collector);
  if (pasted !== '') {
    const found = readPastedCall(pasted);
    if (found !== null) {
      const to = found.to || targetOf(found.host, workloads) || (query.get('to') ?? '');
      const from = found.from || (query.get('from') ?? '');
      const headers = found.headers.map(([name, value]) => `${name}: ${value}`).join('\n');
      const ask = from !== '' && to !== '' ? 'yes' : '';
      return `/inspect${queryOf({ ...found, from, to, headers, ask })}`;
    }
  }
  const form = formOf(query);
  const callers = await knownCallers(collector);
  const wrong =
    pasted === ''
      ? null
      : html`<p class="note">That is no curl command, request head, URL or log line.</p>`;
  const result = query.get('ask') === 'yes' ? await answered(collector, form) : null;
  const body = html`<h1>Would this call be allowed?</h1>
    <p class="lead">
      The sidecar of the workload that is called judges it by what it enforces now. Nothing is sent
      to the application.
    </p>
    ${wrong}${result}
    <h2>The call</h2>
    ${callForm(form, callers, workloads)}
    <h2>Or paste one</h2>
    ${pasteForm()}`;
  return { title: 'Inspector', body, live: false };
}

async function answered(collector: Collector, form: CallForm): Promise<Html> {
  try {
    return verdict(await inspect(collector, form), form);
  } catch (error) {
    if (!(error instanceof FormError)) throw error;
    return html`<p class="note bad-note">
      ${error.message[0]?.toUpperCase()}${error.message.slice(1)}.
    </p>`;
  }
}

async function workloadsOf(collector: Collector): Promise<string[]> {
  const all = await collector.sidecars();
  return [...new Set(all.map(({ namespace, workload }) => `${namespace}/${workload}`))].toSorted();
}

/** `payments.payments.svc.cluster.local:8080` -> `payments/payments`, where there is such a workload. */
function targetOf(host: string, workloads: readonly string[]): string {
  const [name = '', namespace] = host.replace(/:\d+$/, '').split('.');
  if (namespace !== undefined) return workloads.find((one) => one === `${namespace}/${name}`) ?? '';
  const named = workloads.filter((one) => one.endsWith(`/${name}`));
  return named.length === 1 ? (named[0] ?? '') : '';
}

function formOf(query: URLSearchParams): CallForm {
  const text = (name: string): string => query.get(name)?.trim() ?? '';
  return {
    from: text('from'),
    to: text('to'),
    port: text('port'),
    method: text('method') || 'GET',
    path: text('path') || '/',
    host: text('host'),
    headers: text('headers'),
    token: text('token'),
    ip: text('ip'),
    tcp: text('tcp') === 'yes',
  };
}

function callForm(form: CallForm, callers: readonly string[], workloads: readonly string[]): Html {
  const field = (name: keyof CallForm, title: string, hint: string, rest: Html = html``): Html =>
    html`<label
      ><span>${title}</span
      ><input
        name="${name}"
        value="${String(form[name])}"
        placeholder="${hint}"
        autocomplete="off"
        spellcheck="false"
        ${rest}
    /></label>`;
  return html`<form class="sheet" method="get" action="/inspect">
      <div class="form">
        <input type="hidden" name="ask" value="yes" />
        <div class="two">
          ${field('from', 'From', 'namespace/account, or none', html` list="callers" required`)}
        </div>
        <div class="two">
          ${field('to', 'To', 'namespace/workload', html` list="workloads" required`)}
        </div>
        ${field('method', 'Method', 'GET', html` list="methods"`)}
        <div class="two">${field('path', 'Path', '/')}</div>
        ${field('port', 'Port', "the workload's first", html` inputmode="numeric"`)}
        <div class="two">${field('host', 'Host', "the workload's Service")}</div>
        ${field('ip', "Client's address", '10.0.0.1')}
        <label
          ><span>Bytes</span
          ><select name="tcp">
            <option value="">an HTTP request</option>
            <option value="yes" ${form.tcp && html` selected`}>TCP, no HTTP</option>
          </select></label
        >
        <label class="wide"
          ><span>Headers, one on each line</span
          ><textarea name="headers" spellcheck="false" placeholder="x-tenant: acme">
${form.headers}</textarea>
        </label>
        <label class="wide"
          ><span>Claims of the caller's token, as JSON; they count as signed</span
          ><textarea
            name="token"
            spellcheck="false"
            placeholder='{"iss":"https://shop.example","sub":"ada"}'
          >
${form.token}</textarea>
        </label>
        <div class="wide"><button>Ask the sidecar</button></div>
      </div>
    </form>
    <datalist id="callers">
      <option value="none">${callers.map((one) => html`<option value="${one}">`)}
    </datalist>
    <datalist id="workloads">${workloads.map((one) => html`<option value="${one}">`)}</datalist>
    <datalist id="methods">
      ${['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS'].map((one) => html`<option value="${one}">`)}
    </datalist>`;
}

function pasteForm(): Html {
  return html`<form class="sheet" method="get" action="/inspect">
    <div class="form">
      <label class="wide"
        ><span
          >A curl command, the head of a request, a URL, or a line of an access log or of selvage
          tap</span
        ><textarea
          name="call"
          required
          spellcheck="false"
          placeholder="curl -X POST http://payments.payments:8080/api/v1/charges -H 'x-tenant: acme'"
        ></textarea>
      </label>
      <div class="wide">
        <button>Read it</button>
        <span class="muted">Credentials are cut; of a token its claims are kept.</span>
      </div>
    </div>
  </form>`;
}
