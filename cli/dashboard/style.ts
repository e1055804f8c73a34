// The one style sheet: a system font, one accent colour, light and dark as the reader's system has it.

const light = `
  --page: #f7f7f8; --surface: #ffffff; --sunken: #f0f1f3; --text: #1b1d22; --muted: #595f69;
  --line: #dfe1e5; --strong: #878d98; --accent: #3350c4; --accent-soft: #e9edfc;
  --good: #1a7440; --warn: #8a5300; --bad: #b8201f;
  --good-soft: #e2f3e8; --warn-soft: #fbefd8; --bad-soft: #fce6e4;`;

const dark = `
  --page: #121316; --surface: #1a1c20; --sunken: #222429; --text: #e5e7eb; --muted: #9ba2ad;
  --line: #2d3036; --strong: #6f7682; --accent: #93a9ff; --accent-soft: #262d48;
  --good: #6bc98b; --warn: #e3ad55; --bad: #ff8d85;
  --good-soft: #1b3325; --warn-soft: #3a2d15; --bad-soft: #43211f;`;

const frame = `
:root { color-scheme: light dark; ${light} }
@media (prefers-color-scheme: dark) { :root { ${dark} } }
* { box-sizing: border-box; }
html { scrollbar-gutter: stable; }
body { margin: 0; background: var(--page); color: var(--text);
  font: 14px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
  font-variant-numeric: tabular-nums; }
a { color: var(--accent); text-decoration: none; }
a:hover { text-decoration: underline; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 3px; }
header { position: sticky; top: 0; z-index: 2; background: var(--surface);
  border-bottom: 1px solid var(--line); }
header > div, main, footer { max-width: 1360px; margin: 0 auto; padding: 0 24px; }
header > div { display: flex; align-items: center; gap: 4px 20px; min-height: 48px; flex-wrap: wrap; }
.brand { display: flex; align-items: center; gap: 8px; font-weight: 650; color: var(--text); }
.brand svg { width: 18px; height: 18px; color: var(--accent); }
nav { display: flex; gap: 2px; flex-wrap: wrap; }
nav a { padding: 6px 10px; border-radius: 6px; color: var(--muted); }
nav a:hover { background: var(--sunken); color: var(--text); text-decoration: none; }
nav a[aria-current] { color: var(--accent); background: var(--accent-soft); font-weight: 550; }
.state { margin-left: auto; color: var(--muted); font-size: 12.5px; display: flex; gap: 12px;
  align-items: center; min-width: 0; }
.state .mesh { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; max-width: 52ch; }
.pulse { display: inline-flex; align-items: center; gap: 6px; white-space: nowrap; }
.pulse::before { content: ""; width: 7px; height: 7px; border-radius: 50%; background: var(--good); }
.stopped .pulse::before { background: none; border: 1.5px solid var(--muted); }
.lost .pulse::before { background: var(--bad); border-radius: 1px; }
main { padding-top: 20px; padding-bottom: 32px; }
footer { color: var(--muted); font-size: 12.5px; padding-bottom: 28px; }
h1 { font-size: 20px; line-height: 1.3; margin: 0 0 4px; font-weight: 620; overflow-wrap: anywhere; }
h2 { font-size: 14px; margin: 28px 0 8px; font-weight: 620; }
h2 small, .lead { color: var(--muted); font-weight: 400; font-size: 13px; }
.lead { margin: 0 0 16px; max-width: 120ch; overflow-wrap: anywhere; }
p.none { color: var(--muted); margin: 6px 0; max-width: 90ch; }
code, .mono { font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: 0.92em; overflow-wrap: anywhere; }
kbd { font: 11.5px ui-monospace, Menlo, Consolas, monospace; border: 1px solid var(--line);
  border-bottom-width: 2px; border-radius: 4px; padding: 0 5px; background: var(--surface); }
.muted { color: var(--muted); } .good { color: var(--good); } .warn { color: var(--warn); }
.bad { color: var(--bad); } .nowrap { white-space: nowrap; }
.note { border: 1px solid var(--line); border-left: 3px solid var(--warn); background: var(--surface);
  border-radius: 4px; padding: 8px 12px; margin: 0 0 16px; overflow-wrap: anywhere; }
.note.bad-note { border-left-color: var(--bad); }
.tag { display: inline-block; font-size: 12px; line-height: 18px; padding: 0 7px; border-radius: 9px;
  white-space: nowrap; background: var(--sunken); color: var(--muted); }
.tag.good { background: var(--good-soft); color: var(--good); }
.tag.warn { background: var(--warn-soft); color: var(--warn); }
.tag.bad { background: var(--bad-soft); color: var(--bad); }
.tag.plain { background: var(--accent-soft); color: var(--accent); }
`;

const tables = `
.sheet { background: var(--surface); border: 1px solid var(--line); border-radius: 8px;
  overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th { text-align: left; font-weight: 500; font-size: 12.5px; color: var(--muted); white-space: nowrap;
  background: var(--surface); }
th, td { padding: 6px 14px; border-bottom: 1px solid var(--line); vertical-align: top; }
tbody tr:last-child > * { border-bottom: 0; }
tbody tr:hover { background: var(--sunken); }
tbody tr:focus-within { background: var(--accent-soft); }
th.num, td.num { text-align: right; white-space: nowrap; }
td.name { min-width: 19ch; max-width: 46ch; overflow-wrap: anywhere; }
td.mono { min-width: 24ch; } td.id { min-width: 0; }
td.wide { min-width: 26ch; overflow-wrap: anywhere; }
td.tight { white-space: nowrap; }
.ns { color: var(--muted); }
.spark { width: 84px; height: 20px; display: block; overflow: visible; }
.spark path { fill: none; stroke: var(--accent); stroke-width: 1.25; vector-effect: non-scaling-stroke; }
.spark line { stroke: var(--line); vector-effect: non-scaling-stroke; }
.lock { width: 11px; height: 12px; vertical-align: -1px; margin-right: 4px; fill: none;
  stroke: currentColor; stroke-width: 1.4; }
.lock rect { fill: currentColor; }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 6px 20px; margin: 0;
  padding: 12px 14px; }
dt { color: var(--muted); } dd { margin: 0; overflow-wrap: anywhere; }
.tiles { display: flex; flex-wrap: wrap; gap: 1px; background: var(--line); border: 1px solid var(--line);
  border-radius: 8px; overflow: hidden; margin: 12px 0; }
.tiles > div { background: var(--surface); padding: 10px 16px; flex: 1 1 130px; min-width: 0; }
.tiles b { display: block; font-size: 19px; font-weight: 600; line-height: 1.3; overflow-wrap: anywhere; }
.tiles span { color: var(--muted); font-size: 12.5px; }
.filter { display: flex; gap: 8px; margin: 0 0 12px; flex-wrap: wrap; align-items: center; }
input, select, textarea, button { font: inherit; color: inherit; background: var(--surface);
  border: 1px solid var(--strong); border-radius: 6px; padding: 5px 9px; min-width: 0; }
input::placeholder, textarea::placeholder { color: var(--muted); opacity: 1; }
textarea { width: 100%; min-height: 84px; resize: vertical;
  font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: 13px; }
button { cursor: pointer; background: var(--accent); color: var(--page); border-color: var(--accent);
  font-weight: 550; padding: 5px 14px; }
button.quiet { background: none; color: var(--muted); border-color: var(--line); font-weight: 400; }
.form { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px; padding: 14px; }
.form label { display: block; min-width: 0; } .form .wide { grid-column: 1 / -1; }
.form .two { grid-column: span 2; }
.form label > span { display: block; color: var(--muted); font-size: 12.5px; margin-bottom: 3px; }
.form input, .form select { width: 100%; }
dialog { border: 1px solid var(--line); border-radius: 10px; background: var(--surface);
  color: var(--text); padding: 20px 24px; max-width: min(460px, 90vw); }
dialog::backdrop { background: rgb(0 0 0 / 40%); }
dialog dl { padding: 0; margin: 12px 0; }
`;

const drawings = `
.graph { background: var(--surface); border: 1px solid var(--line); border-radius: 8px;
  overflow: auto; max-height: 74vh; }
.graph svg { display: block; margin: 0 auto; }
.graph .focused .edge:not(.near), .graph .focused .label:not(.near) { opacity: 0.12; }
.graph .focused .node:not(.near) { opacity: 0.45; }
.graph text { font-size: 12px; fill: var(--text); }
.graph .sub { fill: var(--muted); font-size: 11px; }
.graph .node rect { fill: var(--surface); stroke: var(--strong); }
.graph .node:hover rect { fill: var(--sunken); }
.graph .node .bar { fill: var(--muted); stroke: none; }
.graph .node.good .bar { fill: var(--good); }
.graph .node.warn .bar { fill: var(--warn); }
.graph .node.bad .bar { fill: var(--bad); }
.graph .node .name { font-weight: 600; font-size: 13px; }
.graph .node.good .mark { fill: var(--good); } .graph .node.warn .mark { fill: var(--warn); }
.graph .node.bad .mark { fill: var(--bad); } .graph .node.idle .mark { fill: var(--muted); }
.graph .node.outside rect { stroke-dasharray: 4 3; fill: var(--page); }
.graph a:focus-visible { outline: none; }
.graph a:focus-visible rect { stroke: var(--accent); stroke-width: 2.5; }
.graph .edge path { fill: none; stroke: var(--strong); }
.graph .edge.good path { stroke: var(--good); }
.graph .edge.warn path { stroke: var(--warn); stroke-dasharray: 7 3; }
.graph .edge.bad path { stroke: var(--bad); stroke-dasharray: 3 3; }
.graph .edge.idle path { stroke: var(--strong); stroke-dasharray: 1 4; }
.graph .edge .tip { stroke: none; fill: var(--strong); }
.graph .edge.good .tip { fill: var(--good); } .graph .edge.warn .tip { fill: var(--warn); }
.graph .edge.bad .tip { fill: var(--bad); }
.graph .label rect { fill: var(--surface); stroke: var(--line); }
.graph .label text { font-size: 11px; }
.graph .label .shackle { fill: none; stroke: var(--muted); stroke-width: 1.3; stroke-dasharray: none; }
.graph .label .body { fill: var(--muted); stroke: none; }
.graph .label .open, .graph .label .open.body { stroke: var(--warn); }
.graph .label .open.body { fill: var(--warn); }
.legend { display: flex; flex-wrap: wrap; gap: 4px 18px; color: var(--muted); font-size: 12.5px;
  margin: 8px 2px 0; }
.steps { list-style: none; margin: 0; padding: 0; }
.steps > li { position: relative; padding: 0 0 14px 30px; }
.steps > li::before { content: ""; position: absolute; left: 8px; top: 20px; bottom: -2px;
  border-left: 1px solid var(--line); }
.steps > li:last-child::before { display: none; }
.steps .dot { position: absolute; left: 0; top: 1px; width: 18px; height: 18px; border-radius: 50%;
  text-align: center; font-size: 11px; line-height: 18px; font-weight: 700; background: var(--sunken);
  color: var(--muted); }
.steps .dot.good { background: var(--good-soft); color: var(--good); }
.steps .dot.bad { background: var(--bad-soft); color: var(--bad); }
.steps .dot.warn { background: var(--warn-soft); color: var(--warn); }
.fields { list-style: none; margin: 4px 0 6px; padding: 0; }
.fields li { padding: 2px 0 2px 22px; text-indent: -18px; overflow-wrap: anywhere; }
.fields li > * { text-indent: 0; }
.rule { border-left: 2px solid var(--line); padding-left: 10px; margin: 6px 0; }
.rule.hit { border-left-color: var(--accent); }
.verdict > span { min-width: 0; overflow-wrap: anywhere; }
.verdict { display: flex; gap: 10px; align-items: baseline; font-size: 18px; font-weight: 620; margin: 0 0 4px;
  flex-wrap: wrap; }
.fall { min-width: 720px; padding: 8px 0; }
.fall .line { display: grid; grid-template-columns: 340px minmax(0, 1fr) 74px; gap: 12px;
  padding: 4px 14px; align-items: center; }
.fall .line:hover { background: var(--sunken); }
.fall svg { width: 100%; height: 18px; display: block; overflow: visible; }
.fall .track { fill: var(--sunken); } .fall .span { fill: var(--accent); }
.fall .span.inbound { fill: var(--accent); opacity: 0.55; }
.fall .span.bad { fill: var(--bad); } .fall .span.warn { fill: var(--warn); }
.fall .who { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.chips { display: flex; flex-wrap: wrap; gap: 6px; }
.chips a { padding: 2px 9px; border: 1px solid var(--line); border-radius: 12px; background: var(--surface);
  overflow-wrap: anywhere; }
@media (max-width: 640px) {
  header { position: static; }
  header > div, main, footer { padding-left: 14px; padding-right: 14px; }
  header > div { padding-top: 8px; }
  nav { order: 3; width: calc(100% + 16px); margin: 0 -8px; padding-bottom: 6px; gap: 0; }
  nav a { padding: 5px 8px; } .state .mesh { max-width: 22ch; }
  th, td { padding: 6px 10px; }
  .form .two { grid-column: 1 / -1; }
  dl { grid-template-columns: minmax(0, 1fr); gap: 0; } dd { margin-bottom: 8px; }
  .stack thead { display: none; }
  .stack tr { display: flex; flex-wrap: wrap; gap: 2px 8px; padding: 8px 12px;
    border-bottom: 1px solid var(--line); }
  .stack td { display: block; padding: 0; border: 0; min-width: 0; }
  .stack td.wide { width: 100%; }
  .stack .from::before { content: "from "; color: var(--muted); }
  .stack .to::before { content: "to "; color: var(--muted); }
}
@media (prefers-reduced-motion: no-preference) { .graph .edge path { transition: stroke 0.3s; } }
`;

export const style = frame + tables + drawings;
