// The heat map. Rows are elements of equal height; only those near the window hold squares, so that filtering stays fast.

const SHORT = { float16: "f16", bfloat16: "bf16", float32: "f32", float64: "f64", complex64: "c64", complex128: "c128", integer: "int", contiguous: "cont", strided: "strd", empty: "empty", "0-d": "0-d" };
const STACK = ["x", "u", "s8", "s7", "s6", "s5", "s4", "s3", "s2", "s1", "s0", "k", "r", "o", "a"];
const ROW = 22;

class Grid {
  constructor(matrix, state, root, choose) {
    Object.assign(this, { matrix, state, root, choose, active: { row: -1, column: -1 } });
    this.head = h("div", { class: "head", role: "rowgroup" });
    this.body = h("div", { class: "body", role: "rowgroup" });
    root.append(this.head, this.body);
    for (const [k, v] of Object.entries({ role: "grid", tabindex: "0", "aria-label": "Ops by mode, dtype and layout; arrow keys move, Enter opens" })) root.setAttribute(k, v);
    this.rows = matrix.ops.map((op, i) => ({ op: i, node: h("div", { class: "row op", role: "row" }), stale: true }));
    this.heads = new Map([...matrix.families.keys()].map((family) => [family, { family, node: h("div", { class: "row family", role: "row" }), stale: true }]));
    this.body.addEventListener("click", (event) => this.clicked(event));
    this.body.addEventListener("pointerover", ({ target }) => { if (target.ariaLabel && !target.title) target.title = target.ariaLabel; });
    root.addEventListener("keydown", (event) => this.pressed(event));
    root.addEventListener("focus", () => { if (this.active.row < 0 && root.matches(":focus-visible")) this.activate(0, -1); });
    document.addEventListener("scroll", () => this.repaint(), { capture: true, passive: true });
    new ResizeObserver(() => requestAnimationFrame(() => { this.fit(); this.repaint(); })).observe(root);
    addEventListener("resize", () => this.repaint());
    addEventListener("beforeprint", () => this.paint(Infinity));
  }

  update() {
    const { matrix, state } = this;
    this.pivot = pivot(matrix, state);
    this.squares = matrix.squares(this.pivot.columnOf, this.pivot.columns.length, admitted(state), state.colour);
    this.list = this.ordered();
    for (const row of [...this.rows, ...this.heads.values()]) row.stale = true;
    this.active = { row: -1, column: -1 };
    this.root.removeAttribute("aria-activedescendant");
    this.title();
    this.fit();
    this.body.replaceChildren(...this.list.map((row) => row.node));
    this.root.setAttribute("aria-rowcount", this.list.length + 1);
    this.paint(1);
    this.repaint();
  }

  // The ops that the filters leave, sorted, with a row for each family where they are grouped.
  ordered() {
    const { matrix, state, squares } = this, q = state.q.toLowerCase().split(/\s+/).filter(Boolean);
    const has = (i) => { for (let s = 0; s < STATUS.length; s++) if (squares.tally[i * STATUS.length + s]) return true; return false; };
    const chosen = this.rows.filter(({ op: i }) => {
      const op = matrix.ops[i];
      if (state.family && op.family !== state.family) return false;
      if (!q.every((word) => (op.name + " " + op.family).toLowerCase().includes(word))) return false;
      return has(i) || !(state.status.size || state.mode.size || state.dtype.size || state.layout.size);
    });
    this.shown = chosen.length;
    this.tally = STATUS.map((_, s) => chosen.reduce((sum, { op }) => sum + squares.tally[op * STATUS.length + s], 0));
    if (state.sort === "name") return chosen.sort((a, b) => matrix.ops[a.op].name.localeCompare(matrix.ops[b.op].name));
    if (state.sort === "worst" || state.sort === "slow") {
      const key = new Map(chosen.map((row) => [row, this.extent(row.op, state.sort === "slow" ? "seconds" : state.colour)]));
      return chosen.sort((a, b) => key.get(b) - key.get(a));
    }
    const grouped = new Map();
    for (const row of chosen) {
      const family = matrix.ops[row.op].family;
      if (!grouped.has(family)) grouped.set(family, []);
      grouped.get(family).push(row);
    }
    const all = Boolean(state.q || state.family) || (state.status.size > 0 && chosen.length < 100);
    return [...grouped].flatMap(([family, rows]) => {
      const head = this.heads.get(family);
      head.rows = rows;
      head.open = all || state.open.has(family) || state.open.has("all");
      return head.open ? [head, ...rows] : [head];
    });
  }

  // The largest value of an op; failures and what is undecided rank before any number.
  extent(i, metric) {
    const { worst, columns } = this.squares, { cells } = this.matrix;
    let most = -1;
    for (let at = i * columns; at < (i + 1) * columns; at++) {
      const cell = worst[at];
      if (cell < 0) continue;
      const status = cells.status[cell], value = cells[metric][cell];
      const rank = metric !== "seconds" && status === FAIL ? 2e300 : metric !== "seconds" && status === UNDECIDED ? 1e300 : status === PASS || status === CONSTANT ? value : -1;
      if (rank > most) most = rank;
    }
    return most;
  }

  name(part, long) { return long ? part : SHORT[part] ?? this.matrix.words.short[part] ?? part; }

  title() {
    const { columns, levels } = this.pivot;
    let line = 2; // the first holds the names
    for (const c of columns) { if (c.first) line++; c.line = line++; }
    this.root.style.setProperty("--columns", `var(--name) ${columns.map((c) => (c.first ? "6px " : "") + "minmax(var(--least),1fr)").join(" ")}`);
    this.head.replaceChildren(...levels.map((runs, depth) => h("div", { class: "row titles" + (depth < levels.length - 1 ? " groups" : ""), role: "row" },
      h("span", { class: "name", role: "columnheader" }, depth === levels.length - 1 ? "op" : ""), runs.map(({ part, columns: held }) =>
        h("span", { class: "title", role: "columnheader", title: part, style: `grid-column:${held[0].line} / ${held.at(-1).line + 1}` },
          h("span", { class: "long" }, part), h("span", { class: "brief" }, SHORT[part] ?? this.matrix.words.short[part] ?? part))))));
  }

  fit() {
    if (!this.pivot) return;
    const { columns, levels } = this.pivot, n = columns.length, width = this.root.clientWidth;
    const least = n > 40 ? 8 : width < 620 ? 25 : n > 10 ? 19 : 34, name = width < 620 ? 118 : width < 1000 ? 150 : 196;
    const gaps = 7 * columns.filter((c) => c.first).length + n, side = Math.max(least, (width - name - gaps) / n);
    for (const [k, v] of Object.entries({ least, name, wide: Math.max(width, name + gaps + n * least) })) this.root.style.setProperty("--" + k, v + "px");
    this.root.classList.toggle("boxed", side * n + gaps + name > width + 1);
    this.root.classList.toggle("tiny", side < 17);
    this.root.classList.toggle("narrow", side < 26);
    [...this.head.children].forEach((node, depth) => node.classList.toggle("tight", (side * n) / levels[depth].length < 60));
  }

  repaint() { this.due ??= requestAnimationFrame(() => { this.due = null; this.paint(25); }); }

  // Fills the rows that the window shows, and `margin` more on either side.
  paint(margin) {
    if (!this.list) return;
    const top = this.body.getBoundingClientRect().top;
    const from = Math.max(0, Math.floor(-top / ROW) - margin), to = Math.ceil((innerHeight - top) / ROW) + margin;
    for (const row of this.list.slice(from, to)) {
      if (!row.stale) continue;
      row.stale = false;
      row.node.innerHTML = row.family === undefined ? this.squaresOf(row.op) : this.strips(row);
      if (row.family !== undefined) row.node.setAttribute("aria-expanded", row.open);
    }
  }

  style(cell) {
    const { cells } = this.matrix, status = cells.status[cell];
    return status === PASS ? step(this.state.colour, cells[this.state.colour][cell]) : LOOK[status];
  }

  squaresOf(i) {
    const { matrix, state, squares, pivot } = this, { cells } = matrix, op = matrix.ops[i];
    let html = `<span class="name" role="rowheader" data-c="-1">${escaped(op.name)}</span>`;
    for (const [c, column] of pivot.columns.entries()) {
      const at = i * squares.columns + c, cell = squares.worst[at], line = column.first ? ` style="grid-column:${column.line}"` : "";
      if (cell < 0) { html += `<span class="c n" role="gridcell" data-c="${c}"${line} aria-label="${column.parts.join(", ")}: not executed"></span>`; continue; }
      const status = cells.status[cell], held = at * STATUS.length, mixed = status === PASS && squares.held[held + REFUSED] ? " m" : "";
      const text = status === PASS ? figure(state.colour, cells[state.colour][cell]) : MARK[status];
      html += `<span class="c ${this.style(cell)}${mixed}" role="gridcell" data-c="${c}"${line} aria-label="${escaped(this.label(cell, at))}">${text}</span>`;
    }
    return html;
  }

  label(cell, at) {
    const { matrix, squares } = this, key = matrix.keys[matrix.cells.key[cell]], op = matrix.ops[matrix.owner[cell]];
    const counts = STATUS.map((s, n) => [squares.held[at * STATUS.length + n], s]).filter(([n]) => n).map(([n, s]) => `${n} ${s}`).join(", ");
    const error = matrix.cells.error[cell], measured = Number.isNaN(error) ? "" : `, error ${brief(error)}`;
    return `${op.name}: ${counts}. ${key.mode}, ${key.dtype}, ${key.layout}: ${STATUS[matrix.cells.status[cell]]}${measured}`;
  }

  // A family folded into one row: each strip holds all of its ops, the worst at the left.
  strips(row) {
    const { squares, pivot } = this;
    let html = `<span class="name" role="rowheader" data-c="-1"><i class="fold"></i>${escaped(row.family)} <small>${row.rows.length}</small></span>`;
    for (const [c, column] of pivot.columns.entries()) {
      const counts = new Map();
      for (const { op } of row.rows) {
        const cell = squares.worst[op * squares.columns + c];
        if (cell >= 0) { const s = this.style(cell); counts.set(s, (counts.get(s) ?? 0) + 1); }
      }
      const present = STACK.filter((s) => counts.has(s));
      const weights = present.map((s) => (s === "x" || s === "u" ? Math.max(counts.get(s), 0.14 * row.rows.length) : counts.get(s)));
      const total = weights.reduce((a, b) => a + b, 0);
      let at = 0;
      const stops = present.map((s, n) => { const from = at; at += 100 * weights[n] / total; return `var(--${s}) ${from.toFixed(1)}% ${at.toFixed(1)}%`; });
      const failing = (counts.get("x") ?? 0) + (counts.get("u") ?? 0);
      const label = `${row.family}, ${column.parts.join(", ")}: ${row.rows.length} ops${counts.has("x") ? `, ${counts.get("x")} with failures` : ""}${counts.has("u") ? `, ${counts.get("u")} undecided` : ""}`;
      html += `<span class="c strip${failing ? " bad" : ""}" role="gridcell" data-c="${c}" aria-label="${escaped(label)}" style="${column.first ? `grid-column:${column.line};` : ""}background:linear-gradient(90deg,${stops.join(",") || "transparent,transparent"})"></span>`;
    }
    return html;
  }

  toggle(row) {
    const open = new Set(this.state.open);
    if (open.delete("all")) for (const family of this.heads.keys()) open.add(family);
    if (!open.delete(row.family)) open.add(row.family);
    this.state.change({ open });
  }

  clicked({ target }) {
    const node = target.closest(".row"), at = this.list.findIndex((row) => row.node === node);
    if (at < 0) return;
    const row = this.list[at], column = Number(target.closest("[data-c]")?.dataset.c ?? -1);
    if (row.family !== undefined) { this.toggle(row); this.activate(this.list.indexOf(row), column, false); return; }
    this.activate(at, column);
    this.enter();
  }

  // The cell that a position stands for: the worst of the square, or of the whole row.
  cellAt({ row, column }) {
    const entry = this.list[row], { worst, columns } = this.squares, { cells } = this.matrix;
    if (!entry || entry.family !== undefined) return -1;
    if (column >= 0) return worst[entry.op * columns + column];
    return [...worst.slice(entry.op * columns, (entry.op + 1) * columns)].filter((c) => c >= 0)
      .reduce((a, b) => (a < 0 || SEVERITY[cells.status[b]] > SEVERITY[cells.status[a]] || (cells.status[a] === cells.status[b] && cells.error[b] > cells.error[a]) ? b : a), -1);
  }

  enter() {
    const entry = this.list[this.active.row], cell = this.cellAt(this.active);
    if (entry?.family !== undefined) { const { row, column } = this.active; this.toggle(entry); this.activate(row, column); }
    else if (cell >= 0) this.choose(cell);
  }

  activate(row, column, scroll = true) {
    this.body.querySelector("#active")?.removeAttribute("id");
    row = Math.max(0, Math.min(this.list.length - 1, row));
    column = Math.max(-1, Math.min(this.pivot.columns.length - 1, column));
    this.active = { row, column };
    const node = this.list[row]?.node;
    if (!node) return;
    if (scroll) node.scrollIntoView({ block: "nearest" });
    this.paint(1);
    node.children[column + 1].id = "active";
    if (scroll) node.children[column + 1].scrollIntoView({ block: "nearest", inline: "nearest" });
    this.root.setAttribute("aria-activedescendant", "active");
    if (document.body.classList.contains("panelled")) { const cell = this.cellAt(this.active); if (cell >= 0) this.choose(cell, false); }
  }

  pressed(event) {
    const { row, column } = this.active, page = Math.floor(innerHeight / ROW) - 4;
    const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1], PageUp: [-page, 0], PageDown: [page, 0], Home: [0, -999], End: [0, 999] };
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in moves) this.activate(Math.max(row, 0) + (row < 0 ? 0 : moves[event.key][0]), column + moves[event.key][1]);
    else if (event.key === "Enter" || event.key === " ") this.enter();
    else return;
    event.preventDefault();
  }
}
