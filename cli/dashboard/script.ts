// The one script: keeps the page fresh, and makes it a keyboard's. Without it everything is there, by links and forms.

/** Plain JavaScript of browsers, of this server only. It names no element that a page may lack. */
export const script = `'use strict';
(() => {
  const everyMs = 2000;
  const state = document.querySelector('.state');
  const pulse = document.querySelector('.pulse');
  const help = document.querySelector('dialog');
  const live = document.body.dataset.live === 'yes';
  let stopped = false;
  let under = null;

  const same = (a, b) => a.nodeType === b.nodeType && a.nodeName === b.nodeName && (a.id || '') === (b.id || '');

  // Makes one tree like the other and touches nothing that is alike: what is focused, selected or scrolled stays so.
  const morph = (from, to) => {
    if (from.nodeType !== 1) {
      if (from.nodeValue !== to.nodeValue) from.nodeValue = to.nodeValue;
      return;
    }
    for (const { name } of [...from.attributes]) {
      if (name !== 'open' && !to.hasAttribute(name)) from.removeAttribute(name);
    }
    for (const { name, value } of to.attributes) {
      if (from.getAttribute(name) !== value) from.setAttribute(name, value);
    }
    if (from === document.activeElement && 'value' in from) return;
    const named = new Map([...from.children].filter((one) => one.id).map((one) => [one.id, one]));
    let at = from.firstChild;
    for (const wanted of [...to.childNodes]) {
      const known = wanted.id ? named.get(wanted.id) : undefined;
      const found = known ?? (at && !(at.id && named.has(at.id)) && same(at, wanted) ? at : null);
      if (found === null) from.insertBefore(document.importNode(wanted, true), at);
      else if (found === at) at = at.nextSibling;
      else from.insertBefore(found, at);
      if (found !== null) morph(found, wanted);
    }
    while (at) {
      const next = at.nextSibling;
      at.remove();
      at = next;
    }
  };

  // In the graph, what has to do with the node under the pointer or the focus stands out.
  let focused = null;
  const mark = () => {
    const svg = document.querySelector('.graph svg');
    if (svg === null) return;
    const near = new Set([focused]);
    svg.classList.toggle('focused', focused !== null);
    for (const one of svg.querySelectorAll('[data-from]')) {
      const { from, to } = one.dataset;
      const isNear = from === focused || to === focused;
      one.classList.toggle('near', isNear);
      if (isNear) near.add(from).add(to);
    }
    for (const one of svg.querySelectorAll('[data-name]')) one.classList.toggle('near', near.has(one.dataset.name));
  };
  const focus = (event) => {
    const node = event.target.closest?.('[data-name]') ?? document.activeElement?.closest('[data-name]');
    const name = node?.dataset.name ?? null;
    if (name === focused) return;
    focused = name;
    mark();
  };
  for (const kind of ['pointerover', 'focusin', 'focusout']) document.addEventListener(kind, focus);

  const show = (text, kind) => {
    if (pulse === null) return;
    pulse.textContent = text;
    state.classList.toggle('stopped', kind === 'stopped');
    state.classList.toggle('lost', kind === 'lost');
  };

  const refresh = async () => {
    under?.abort();
    const mine = (under = new AbortController());
    try {
      const answer = await fetch(location.href, { cache: 'no-store', signal: mine.signal });
      const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
      const [now, next] = [document.querySelector('main'), page.querySelector('main')];
      if (mine.signal.aborted || now === null || next === null) return;
      if (answer.status === 401) {
        stopped = true;
        show('open the printed address again', 'lost');
        return;
      }
      morph(now, next);
      mark();
      if (!stopped) show('live', '');
    } catch (error) {
      if (error.name !== 'AbortError') show('no answer; trying on', 'lost');
    }
  };

  if (live) {
    show('live', '');
    const goOn = async () => {
      const begun = performance.now();
      const selecting = String(getSelection()) !== '';
      if (!document.hidden && !stopped && !selecting) await refresh();
      // A large page on a slow machine is made fresh more rarely.
      setTimeout(goOn, Math.max(everyMs, 10 * (performance.now() - begun)));
    };
    setTimeout(goOn, everyMs);
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden && !stopped) void refresh();
    });
  }

  // The filter works as one types.
  const filter = document.querySelector('form.filter');
  let typed = 0;
  const refilter = () => {
    const query = new URLSearchParams(new FormData(filter));
    for (const [name, value] of [...query]) if (value === '') query.delete(name);
    history.replaceState(null, '', location.pathname + (query.size === 0 ? '' : '?' + query));
    void refresh();
  };
  filter?.addEventListener('input', () => {
    clearTimeout(typed);
    typed = setTimeout(refilter, 200);
  });
  filter?.addEventListener('submit', (event) => {
    event.preventDefault();
    clearTimeout(typed);
    refilter();
    document.querySelector('a.row')?.focus();
  });

  const rows = () => [...document.querySelectorAll('main a.row')];
  const move = (by) => {
    const all = rows();
    if (all.length === 0) return;
    const at = all.indexOf(document.activeElement);
    const next = at === -1 ? (by > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, at + by));
    all[next].focus();
    all[next].scrollIntoView({ block: 'nearest' });
  };

  const places = { h: '/', w: '/w', d: '/why', i: '/inspect', t: '/t', s: '/sync' };
  let going = 0;
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const { key, target } = event;
    const writes = target.matches('input, textarea, select');
    if (key === 'Escape') {
      if (writes) target.blur();
      return;
    }
    if (writes || help?.open) return;
    const went = going > Date.now();
    going = 0;
    if (went && Object.hasOwn(places, key)) {
      location.href = places[key];
    } else if (key === 'g') {
      going = Date.now() + 1500;
    } else if (key === 'j' || key === 'k') {
      move(key === 'j' ? 1 : -1);
    } else if (key === '/') {
      document.querySelector('input[name=q], textarea, main input')?.focus();
    } else if (key === '?') {
      help?.showModal();
    } else if (key === 'p' && live) {
      stopped = !stopped;
      show(stopped ? 'paused' : 'live', stopped ? 'stopped' : '');
      if (!stopped) void refresh();
    } else {
      return;
    }
    event.preventDefault();
  });
})();
`;
