// What every page has around it: title, ways to the others, whether it is live, keys.
import { html, type Html } from './html.ts';

export interface Page {
  readonly title: string;
  readonly body: Html;
  /** 200 where it is left out. */
  readonly status?: number;
  /** Shown again every two seconds. */
  readonly live: boolean;
}

interface Place {
  readonly path: string;
  readonly name: string;
  readonly key: string;
}

const places: readonly Place[] = [
  { path: '/', name: 'Graph', key: 'g h' },
  { path: '/w', name: 'Workloads', key: 'g w' },
  { path: '/why', name: 'Refusals', key: 'g d' },
  { path: '/inspect', name: 'Inspector', key: 'g i' },
  { path: '/t', name: 'Traces', key: 'g t' },
  { path: '/sync', name: 'Sidecars', key: 'g s' },
];

/** @param mesh whose page it is: `the mesh of manifests/examples/shop` */
export function framed(page: Page, path: string, mesh: string): Html {
  const here = places.find((place) => place.path === `/${path.split('/')[1] ?? ''}`);
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>${page.title} · Selvage</title>
        <link rel="icon" href="/icon.svg" type="image/svg+xml" />
        <link rel="stylesheet" href="/style.css" />
        ${page.live && html`<noscript><meta http-equiv="refresh" content="5" /></noscript>`}
        <script src="/script.js" defer></script>
      </head>
      <body data-live="${page.live ? 'yes' : 'no'}">
        <header>
          <div>
            <a class="brand" href="/"
              ><svg viewBox="0 0 18 18" aria-hidden="true">
                <path fill="currentColor" d="${mark}"></path></svg
              >Selvage</a
            >
            <nav aria-label="Pages">
              ${places.map(
                (place) =>
                  html`<a
                    href="${place.path}"
                    title="${place.key}"
                    ${place === here && html` aria-current="page"`}
                    >${place.name}</a
                  >`,
              )}
            </nav>
            <div class="state">
              <span class="mesh" title="${mesh}">${mesh}</span
              >${page.live && html`<span class="pulse" role="status">every 5 s</span>`}
            </div>
          </div>
        </header>
        <main>${page.body}</main>
        <footer>Read only. <kbd>?</kbd> shows the keys.</footer>
        ${help()}
      </body>
    </html> `;
}

/** A woven edge: two threads that cross, and the border that holds them. */
const mark =
  'M2 1h2v16H2zM6 3h10v2H6zM6 8h10v2H6zM6 13h10v2H6zM7 1h2v6H7zM13 1h2v6h-2zM10 6h2v6h-2zM7 11h2v6H7zM13 11h2v6h-2z';

export const icon = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 18 18"><path fill="#5b77e8" d="${mark}"/></svg>`;

function help(): Html {
  const keys: readonly (readonly [string, string])[] = [
    ...places.map(({ key, name }) => [key, name] as const),
    ['/', 'filter, or the first field'],
    ['j k', 'next and previous row'],
    ['Enter', 'open it'],
    ['p', 'pause and go on'],
    ['Esc', 'leave a field, close this'],
  ];
  return html`<dialog aria-label="Keys">
    <b>Keys</b>
    <dl>
      ${keys.map(
        ([key, what]) =>
          html`<dt>${key.split(' ').map((one) => html`<kbd>${one}</kbd> `)}</dt>
            <dd>${what}</dd>`,
      )}
    </dl>
    <form method="dialog"><button class="quiet">Close</button></form>
  </dialog>`;
}
