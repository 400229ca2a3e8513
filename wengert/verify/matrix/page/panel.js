// One cell in full: what was called, how far off it was, against what, and how to call it again.

class Panel {
  constructor(matrix, state, root) {
    Object.assign(this, { matrix, state, root, cell: -1 });
    document.addEventListener("keydown", (event) => { if (event.key === "Escape" && !root.hidden) this.close(); });
    root.addEventListener("keydown", (event) => this.pressed(event));
  }

  // `name|mode|dtype|layout`, as it stands in the address.
  id(cell) {
    const { mode, dtype, layout } = this.matrix.keys[this.matrix.cells.key[cell]];
    return [this.matrix.ops[this.matrix.owner[cell]].name, mode, dtype, layout].join("|");
  }

  find(id) {
    const [name, ...key] = id.split("|"), i = this.matrix.byName.get(name);
    const k = this.matrix.keys.findIndex(({ mode, dtype, layout }) => [mode, dtype, layout].join("|") === key.join("|"));
    return i === undefined || k < 0 ? -1 : this.matrix.slots[i * this.matrix.width + k];
  }

  open(cell, focus = true) {
    this.cell = cell;
    this.root.replaceChildren(...this.content(cell));
    this.root.hidden = false;
    document.body.classList.add("panelled");
    if (focus) this.root.querySelector("[aria-current]")?.focus({ preventScroll: true });
    if (this.state.cell !== this.id(cell)) this.state.change({ cell: this.id(cell) });
  }

  close() {
    this.root.hidden = true;
    document.body.classList.remove("panelled");
    this.state.change({ cell: "" });
    document.getElementById("grid").focus({ preventScroll: true });
  }

  content(cell) {
    const { matrix } = this, { cells, words } = matrix, op = matrix.ops[matrix.owner[cell]], key = matrix.keys[cells.key[cell]];
    const status = STATUS[cells.status[cell]], samples = op.samples.map((n) => matrix.strings[n]), text = (n) => matrix.strings[n];
    const fact = (name, value, detail) => (value ? [h("dt", null, name), h("dd", null, value, detail ? h("small", null, " ", detail) : null)] : []);
    const error = cells.error[cell], limit = cells.limit[cell], share = cells.share[cell];
    const digits = error > 0 ? `${figure("error", error)} digits agree` : error === 0 ? "no difference at all" : "";
    const spare = Number.isNaN(share) || !limit ? "" : share > 1 ? `exceeded ${brief(share)} times over` : share < 0.01 ? "below 1 % of it used" : `${Math.round(100 * share)} % of it used`;
    const source = matrix.source(cell);
    return [
      h("header", null,
        h("h2", null, op.name, h("small", null, " ", op.family)),
        h("button", { type: "button", class: "step", "aria-label": "Previous cell of this op", title: "Previous cell", onclick: () => this.step(-1) }, "‹"),
        h("button", { type: "button", class: "step", "aria-label": "Next cell of this op", title: "Next cell", onclick: () => this.step(1) }, "›"),
        h("button", { type: "button", class: "step", "aria-label": "Close", title: "Close (Esc)", onclick: () => this.close() }, "×")),
      this.map(cell),
      h("p", { class: "verdict" }, h("span", { class: "badge " + status.replaceAll(" ", "-") }, status), ` ${key.mode}, ${key.dtype}, ${key.layout}`),
      cells.reason[cell] ? h("p", { class: "reason" }, matrix.reason(cell)) : h("p", { class: "meaning" }, words.statuses[status] ?? ""),
      h("dl", { class: "facts" },
        fact("call", samples[cells.sample[cell]] ? h("code", null, op.name + samples[cells.sample[cell]].replace(/^(?!\()(.*)$/s, "($1)")) : null),
        fact("error", brief(error), digits), fact("ulp", brief(cells.ulp[cell])), fact("limit", brief(limit), spare),
        fact("oracle", matrix.oracle(cell)),
        fact("time", Number.isNaN(cells.seconds[cell]) ? "" : cells.seconds[cell] < 1 ? `${brief(1000 * cells.seconds[cell])} ms` : `${brief(cells.seconds[cell])} s`),
        fact("mode", words.modes[key.mode])),
      source ? h("figure", { class: "snippet" },
        h("figcaption", null, "Run it again", h("button", { type: "button", onclick: (event) => this.copy(event.target, source) }, "copy")),
        h("pre", { tabindex: "0" }, h("code", null, source))) : null,
      op.constant || op.note || op.source ? h("dl", { class: "facts about" },
        fact("constant", text(op.constant)), fact("note", text(op.note)), fact("source", text(op.source))) : null,
    ].filter(Boolean);
  }

  // All cells of the op, one row per mode, to step through.
  map(cell) {
    const { matrix } = this, { modes, dtypes, layouts, cells } = matrix, i = matrix.owner[cell];
    const head = h("tr", null, h("td"), dtypes.map((d) => h("th", { colspan: layouts.length, scope: "colgroup" }, SHORT[d] ?? d)));
    const rows = modes.map((mode, m) => h("tr", null, h("th", { scope: "row", title: mode }, mode), matrix.keys.filter((key) => key.m === m).map((key) => {
      const k = (key.m * dtypes.length + key.d) * layouts.length + key.l, at = matrix.slots[i * matrix.width + k];
      const title = `${key.dtype}, ${key.layout}`;
      if (at < 0) return h("td", { class: key.l ? null : "first" }, h("i", { class: "c n", title: title + ": not executed" }));
      const status = cells.status[at], look = status === PASS ? step("error", cells.error[at]) : LOOK[status];
      return h("td", { class: key.l ? null : "first" }, h("button", {
        type: "button", class: "c " + look, "data-cell": at, tabindex: at === cell ? "0" : "-1", "aria-current": at === cell ? "true" : null,
        "aria-label": `${mode}, ${title}: ${STATUS[status]}`, title: `${title}: ${STATUS[status]}`, onclick: () => this.open(at),
      }));
    })));
    return h("table", { class: "map" }, h("caption", null, `every cell of ${matrix.ops[i].name}; layouts from left to right: ${layouts.join(", ")}`), h("thead", null, head), h("tbody", null, rows));
  }

  // To the nearest cell `by` keys further on, that was recorded at all.
  step(by) {
    const { matrix } = this, i = matrix.owner[this.cell], width = matrix.width;
    for (let k = matrix.cells.key[this.cell] + by; k >= 0 && k < width; k += by) {
      const at = matrix.slots[i * width + k];
      if (at >= 0) { this.open(at); return; }
    }
  }

  pressed(event) {
    const { dtypes, layouts } = this.matrix, moves = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -dtypes.length * layouts.length, ArrowDown: dtypes.length * layouts.length };
    if (!(event.key in moves) || event.target.closest("pre")) return;
    event.preventDefault();
    this.step(moves[event.key]);
  }

  async copy(button, source) {
    try { await navigator.clipboard.writeText(source); } catch {
      const area = h("textarea", { style: "position:fixed;opacity:0" });
      area.value = source;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    button.textContent = "copied";
    setTimeout(() => { button.textContent = "copy"; }, 1500);
  }
}
