// The opening, the toolbar, and the wiring.

function chips(matrix, state, axis, values, label) {
  const nodes = values.map((value) => h("button", { type: "button", class: "chip", "data-value": value, onclick: () => {
    const chosen = new Set(state[axis]);
    if (!chosen.delete(value)) chosen.add(value);
    state.change({ [axis]: chosen.size === values.length ? new Set() : chosen });
  } }, axis === "status" ? h("i", { class: "swatch c " + LOOK[STATUS.indexOf(value)] }) : null, value));
  const group = h("fieldset", { class: "chips" }, h("legend", null, label), nodes);
  group.refresh = () => nodes.forEach((node) => node.setAttribute("aria-pressed", state[axis].has(node.dataset.value)));
  return group;
}

function toolbar(matrix, state, form) {
  const select = (key, label, options) => {
    const node = h("select", { onchange: () => state.change({ [key]: node.value }) }, Object.entries(options).map(([value, text]) => h("option", { value }, text)));
    const wrap = h("label", null, label, " ", node);
    wrap.refresh = () => { node.value = state[key]; };
    return wrap;
  };
  const search = h("input", { type: "search", placeholder: "op or family", "aria-label": "Search ops", oninput: () => state.change({ q: search.value }) });
  search.refresh = () => { if (search.value !== state.q) search.value = state.q; };
  const families = { "": `all ${matrix.families.size}`, ...Object.fromEntries([...matrix.families].map(([f, ops]) => [f, `${f} (${ops.length})`])) };
  const recorded = STATUS.filter((_, s) => matrix.cells.status.includes(s));
  const first = [search, select("family", "family", families), select("columns", "columns", SHAPES), select("colour", "colour", Object.fromEntries(Object.entries(SCALES).map(([k, s]) => [k, s.title]))), select("sort", "order", SORTS)];
  const second = [chips(matrix, state, "status", recorded, "status"), chips(matrix, state, "dtype", matrix.dtypes, "dtype"), chips(matrix, state, "layout", matrix.layouts, "layout"), chips(matrix, state, "mode", matrix.modes, "mode")];
  const more = h("details", { class: "filters", open: innerWidth >= 800 || CHOICES.some((k) => state[k].size) }, h("summary", null, "filters"), second);
  form.append(h("div", { class: "selects" }, first), more);
  return () => [...first, ...second].forEach((part) => part.refresh());
}

function legend(matrix, state, root) {
  const scale = SCALES[state.colour];
  const held = new Set(matrix.cells.status);
  root.replaceChildren(...[
    h("span", { class: "scale" }, h("span", null, scale.unit), scale.labels.map((label, n) => h("span", { class: "c s" + n }, label))),
    ...[[FAIL, "x", "fail"], [UNDECIDED, "u", "undecided"], [CONSTANT, "k", "constant: zero, and checked"], [REFUSED, "r", "refused"], [NONE, "o", "no such call"], [ABSENT, "a", "not in this version"]]
      .filter(([s]) => held.has(s)).map(([s, look, text]) => h("span", { class: "key" }, h("span", { class: "c " + look }, MARK[s]), " ", text)),
    h("span", { class: "key" }, h("span", { class: "c s3 m" }), " passes, but some calls are refused"),
    state.sort === "family" ? h("span", { class: "key" }, h("span", { class: "c strip" }), " a folded family: its ops side by side, the worst at the left") : null].filter(Boolean));
}

function report(grid, state, root) {
  const executed = [PASS, FAIL, UNDECIDED, CONSTANT].reduce((sum, s) => sum + grid.tally[s], 0);
  const link = (text, parts) => [" ", h("button", { type: "button", class: "link", onclick: () => state.change(parts) }, text)];
  root.replaceChildren(`${whole(grid.shown)} op${grid.shown === 1 ? "" : "s"}, ${whole(executed)} checks` + (grid.tally[FAIL] ? `, ${whole(grid.tally[FAIL])} fail` : ", none fails") +
    (grid.tally[UNDECIDED] ? `, ${whole(grid.tally[UNDECIDED])} undecided` : "") + "." + (state.columns.split(",").length < 3 ? " A square shows the worst of its checks." : "") + " Click one, or use the arrow keys and Enter.",
    ...(state.sort === "family" ? [...link("open all families", { open: new Set(["all"]) }), ...link("fold all", { open: new Set() })] : []),
    ...(state.filtered ? link("clear filters", { q: "", family: "", ...Object.fromEntries(CHOICES.map((k) => [k, new Set()])) }) : []));
}

function troubles(matrix, state, root, open) {
  const bad = [...matrix.cells.status.keys()].filter((c) => matrix.cells.status[c] === FAIL);
  const unsure = [...matrix.cells.status.keys()].filter((c) => matrix.cells.status[c] === UNDECIDED);
  const list = (cells) => {
    const groups = new Map(); // one line per op and mode
    for (const c of cells) {
      const id = `${matrix.owner[c]} ${matrix.keys[matrix.cells.key[c]].m}`;
      groups.set(id, [...(groups.get(id) ?? []), c]);
    }
    const most = innerWidth < 800 ? 4 : 8;
    return [h("ul", null, [...groups.values()].slice(0, most).map(([c, ...others]) => {
      const key = matrix.keys[matrix.cells.key[c]];
      return h("li", null, h("button", { type: "button", class: "link", onclick: () => open(c) }, h("code", null, matrix.ops[matrix.owner[c]].name), ` ${key.mode}, ${key.dtype}, ${key.layout}`),
        others.length ? ` and ${others.length} more: ` : " ", h("span", null, matrix.reason(c)));
    })), groups.size > most ? h("p", null, `and ${groups.size - most} more`) : null].filter(Boolean);
  };
  const all = (status, n) => h("button", { type: "button", class: "link", onclick: () => { state.change({ status: new Set([status]) }); document.getElementById("matrix").scrollIntoView(); } }, `all ${n} in the matrix`);
  if (bad.length) root.append(h("div", { class: "trouble" }, h("h2", null, `${whole(bad.length)} fail `, all("fail", bad.length)), list(bad)));
  if (unsure.length) root.append(h("details", { class: "trouble unsure" }, h("summary", null, `${whole(unsure.length)} undecided: the reference could not tell`), list(unsure), all("undecided", unsure.length)));
}

function overview(matrix, root) {
  const order = [FAIL, UNDECIDED, PASS, CONSTANT, REFUSED, NONE, ABSENT];
  const count = (s) => matrix.cells.status.reduce((n, v) => n + (v === s), 0);
  const counts = order.map((s) => [LOOK[s], count(s), STATUS[s], s]).filter(([, n]) => n);
  root.append(stacked(counts), h("dl", { class: "statuses" }, counts.map(([look, n, status]) =>
    h("div", null, h("dt", null, h("span", { class: "c " + look }, MARK[STATUS.indexOf(status)]), ` ${whole(n)} ${status}`), h("dd", null, matrix.words.statuses[status])))));
}

function themed(state) {
  const button = document.getElementById("theme"), next = { "": "dark", dark: "light", light: "" };
  const apply = () => {
    if (state.theme) document.documentElement.dataset.theme = state.theme;
    else delete document.documentElement.dataset.theme;
    button.textContent = { "": "◐ auto", dark: "● dark", light: "○ light" }[state.theme] ?? "◐ auto";
  };
  button.addEventListener("click", () => { state.change({ theme: next[state.theme] ?? "" }); apply(); });
  return apply;
}

async function start() {
  const state = new State(), apply = themed(state);
  apply();
  if (typeof DecompressionStream === "undefined") throw new Error("this browser is too old for the page: it has no DecompressionStream");
  const matrix = new Matrix(await decode(document.getElementById("data").textContent));
  const panel = new Panel(matrix, state, document.getElementById("panel"));
  const grid = new Grid(matrix, state, document.getElementById("grid"), (cell, focus) => panel.open(cell, focus));
  const refresh = toolbar(matrix, state, document.getElementById("tools"));
  overview(matrix, document.getElementById("bar"));
  troubles(matrix, state, document.getElementById("troubles"), (cell) => panel.open(cell));
  const draw = () => {
    refresh();
    grid.update();
    legend(matrix, state, document.getElementById("legend"));
    report(grid, state, document.getElementById("found"));
  };
  state.listeners.push((_, parts) => { if (!("cell" in parts) && !("theme" in parts)) draw(); });
  const parts = [names, accuracy, mutants, gaps].map((part) => part(matrix)).filter(Boolean);
  document.getElementById("sections").append(...parts);
  const titles = [["matrix", "Ops"], ...parts.map((p) => [p.id, p.querySelector("h2").textContent])];
  document.getElementById("nav").append(...titles.map(([id, title]) => h("a", { href: "#" + id, onclick: (event) => { event.preventDefault(); document.getElementById(id).scrollIntoView(); } }, title)));
  const shown = () => {
    apply();
    draw();
    const cell = state.cell ? panel.find(state.cell) : -1;
    if (cell >= 0) panel.open(cell, false);
  };
  addEventListener("hashchange", () => { state.read(); shown(); });
  shown();
  document.documentElement.dataset.ready = "true";
}

start().catch((error) => {
  document.getElementById("grid").replaceChildren(h("p", { class: "noscript" }, `The matrix could not be drawn: ${error.message}.`));
  throw error;
});
