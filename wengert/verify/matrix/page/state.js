// What the reader has chosen, kept in the address so that a view can be sent to somebody.

const SHAPES = {
  mode: "modes", dtype: "dtypes", layout: "layouts", "mode,dtype": "modes × dtypes", "mode,layout": "modes × layouts",
  "dtype,layout": "dtypes × layouts", "mode,dtype,layout": "modes × dtypes × layouts",
};
const SORTS = { family: "family", worst: "worst first", slow: "slowest first", name: "name" };
const CHOICES = ["status", "mode", "dtype", "layout"];

class State {
  constructor() { this.listeners = []; this.read(); }

  read() {
    const given = new URLSearchParams(location.hash.slice(1));
    const list = (k) => new Set((given.get(k) ?? "").split(",").filter(Boolean));
    this.q = given.get("q") ?? "";
    this.columns = given.get("columns") in SHAPES ? given.get("columns") : innerWidth < 800 ? "mode" : "mode,dtype";
    this.colour = given.get("colour") in SCALES ? given.get("colour") : "error";
    this.sort = given.get("sort") in SORTS ? given.get("sort") : "family";
    this.family = given.get("family") ?? "";
    for (const k of CHOICES) this[k] = list(k);
    this.open = list("open");
    this.cell = given.get("cell") ?? "";
    this.theme = given.get("theme") ?? "";
  }

  write() {
    const kept = new URLSearchParams();
    for (const k of ["q", "columns", "colour", "sort", "family", "cell", "theme"]) if (this[k]) kept.set(k, this[k]);
    if (this.colour === "error") kept.delete("colour");
    if (this.sort === "family") kept.delete("sort");
    if (!this.pivoted) kept.delete("columns");
    for (const k of [...CHOICES, "open"]) if (this[k].size) kept.set(k, [...this[k]].join(","));
    const text = kept.toString().replaceAll("%2C", ",").replaceAll("%7C", "|");
    history.replaceState(null, "", text ? "#" + text : location.pathname + location.search);
  }

  change(parts) {
    if ("columns" in parts) this.pivoted = true;
    Object.assign(this, parts);
    this.write();
    for (const listener of this.listeners) listener(this, parts);
  }

  get filtered() { return Boolean(this.q || this.family || CHOICES.some((k) => this[k].size)); }
}

function admitted(state) { return STATUS.map((s) => !state.status.size || state.status.has(s)); }

// The columns that the chosen pivot makes of the 128 keys: their titles, and which key falls into which.
function pivot(matrix, state) {
  const axes = state.columns.split(","), titles = new Map(), columnOf = new Int32Array(matrix.width).fill(-1);
  matrix.keys.forEach((key, k) => {
    if (["mode", "dtype", "layout"].some((axis) => state[axis].size && !state[axis].has(key[axis]))) return;
    const parts = axes.map((axis) => key[axis]), id = parts.join("|");
    if (!titles.has(id)) titles.set(id, { at: titles.size, parts });
    columnOf[k] = titles.get(id).at;
  });
  const columns = [...titles.values()];
  // One line of titles per axis; a title spans the columns that share it and all that stands above it.
  const levels = axes.map((_, depth) => {
    const runs = [];
    for (const c of columns) {
      const id = c.parts.slice(0, depth + 1).join("|");
      if (runs.at(-1)?.id !== id) runs.push({ id, part: c.parts[depth], columns: [] });
      runs.at(-1).columns.push(c);
    }
    return runs;
  });
  if (axes.length > 1) for (const run of levels[0].slice(1)) run.columns[0].first = true;
  return { columnOf, columns, levels };
}
