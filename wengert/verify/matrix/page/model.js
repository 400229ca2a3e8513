// The matrix in memory: columns of cells, and what each square of the heat map sums up.

const STATUS = ["pass", "fail", "undecided", "refused", "constant", "absent", "no such call"];
const [PASS, FAIL, UNDECIDED, REFUSED, CONSTANT, ABSENT, NONE] = STATUS.keys();
const SEVERITY = [4, 6, 5, 1, 3, 2, 0]; // which status a square shows that stands for several cells
const MARK = ["", "×", "?", "", "○", "·", "–"];
const LOOK = ["s3", "x", "u", "r", "k", "a", "o"];

async function decode(text) {
  const bytes = Uint8Array.from(atob(text.trim()), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).json();
}

class Matrix {
  constructor(data) {
    Object.assign(this, data);
    const { modes, dtypes, layouts, cells } = data;
    this.width = modes.length * dtypes.length * layouts.length;
    this.keys = [];
    modes.forEach((mode, m) => dtypes.forEach((dtype, d) => layouts.forEach((layout, l) => this.keys.push({ mode, dtype, layout, m, d, l }))));
    for (const k of ["error", "ulp", "limit", "seconds"]) cells[k] = Float64Array.from(cells[k], (v) => (v === null ? NaN : Number(v)));
    cells.share = cells.error.map((e, i) => (cells.limit[i] ? e / cells.limit[i] : e ? Infinity : e));
    const nowhere = new Set([...data.strings.keys()].filter((n) => data.strings[n].startsWith("no such call")));
    cells.status = Uint8Array.from(cells.status, (s, i) => (Number(s) === REFUSED && nowhere.has(cells.reason[i]) ? NONE : Number(s)));
    this.slots = new Int32Array(data.ops.length * this.width).fill(-1);
    this.families = new Map();
    this.byName = new Map();
    let at = 0;
    data.ops.forEach((op, i) => {
      for (let n = 0; n < op.cells; n++, at++) this.slots[i * this.width + cells.key[at]] = at;
      if (!this.families.has(op.family)) this.families.set(op.family, []);
      this.families.get(op.family).push(i);
      this.byName.set(op.name, i);
    });
    this.owner = new Int32Array(at);
    at = 0;
    data.ops.forEach((op, i) => { this.owner.fill(i, at, at += op.cells); });
  }

  reason(cell) { return this.strings[this.cells.reason[cell]]; }
  oracle(cell) { return this.strings[this.cells.oracle[cell]]; }

  // Python source that measures the cell again: its own, or the matrix's template filled in.
  source(cell) {
    const op = this.ops[this.owner[cell]], key = this.keys[this.cells.key[cell]], own = this.snippets[this.cells.snippet[cell]];
    if (own.length) return own.map((n) => this.lines[n]).join("\n");
    if (!this.snippet || this.cells.sample[cell] === null || ![PASS, FAIL, UNDECIDED].includes(this.cells.status[cell])) return "";
    const values = { name: op.name, sample: this.cells.sample[cell], mode: key.mode, dtype: key.dtype, layout: key.layout };
    return this.snippet.replace(/{(\w+)(!r)?}/g, (_, name, quoted) => (quoted ? `'${values[name]}'` : values[name])).trimEnd();
  }

  // For each op and column the cell to show, the worst of those that `admits` lets in; and how many of each status there are.
  squares(columnOf, columns, admits, metric) {
    const { slots, width, cells, ops } = this, values = cells[metric];
    const worst = new Int32Array(ops.length * columns).fill(-1);
    const held = new Int32Array(ops.length * columns * STATUS.length), tally = new Int32Array(ops.length * STATUS.length);
    for (let i = 0, s = 0; i < ops.length; i++) {
      for (let k = 0; k < width; k++, s++) {
        const cell = slots[s];
        if (cell < 0 || columnOf[k] < 0) continue;
        const status = cells.status[cell];
        if (!admits[status]) continue;
        const at = i * columns + columnOf[k], old = worst[at];
        tally[i * STATUS.length + status]++;
        held[at * STATUS.length + status]++;
        if (old < 0) { worst[at] = cell; continue; }
        const gain = SEVERITY[status] - SEVERITY[cells.status[old]];
        if (gain > 0 || (gain === 0 && (values[cell] > values[old] || Number.isNaN(values[old])))) worst[at] = cell;
      }
    }
    return { worst, held, tally, columns };
  }
}

// Steps of the colour scale, from harmless to notable; a value belongs to the first step that reaches it.
const SCALES = {
  error: { title: "error", ends: [0, 1e-15, 1e-13, 1e-11, 1e-9, 1e-7, 1e-5, 1e-3, Infinity], labels: ["exact", "15", "13", "11", "9", "7", "5", "3", "fewer"], unit: "digits agreed, at least" },
  share: { title: "share of the limit", ends: [0, 1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.1, 0.5, Infinity], labels: ["0", "10⁻⁶", "10⁻⁵", "10⁻⁴", "0.1 %", "1 %", "10 %", "50 %", "more"], unit: "of the limit, at most" },
  ulp: { title: "ulp", ends: [0, 1, 4, 16, 100, 1e3, 1e5, 1e8, Infinity], labels: ["0", "1", "4", "16", "100", "10³", "10⁵", "10⁸", "more"], unit: "ulp, at most" },
  seconds: { title: "seconds", ends: [0, 3e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.3, Infinity], labels: ["0", ".3 ms", "1 ms", "3 ms", "10 ms", "30 ms", "0.1 s", "0.3 s", "more"], unit: "at most" },
};

function step(metric, value) {
  if (Number.isNaN(value)) return "s0";
  return "s" + SCALES[metric].ends.findIndex((end) => value <= end);
}

// A few letters for a square.
function figure(metric, value) {
  if (Number.isNaN(value)) return "";
  if (metric === "error") return value === 0 ? "=" : String(Math.max(0, Math.floor(-Math.log10(value))));
  if (metric === "share") return value === 0 ? "=" : value < 0.01 ? "<1" : String(Math.round(100 * value));
  if (metric === "seconds") return value >= 1 ? value.toFixed(0) + "s" : value < 0.001 ? "<1" : String(Math.round(1000 * value));
  return value < 1000 ? String(Math.round(value)) : "e" + Math.floor(Math.log10(value));
}

const whole = (n) => n.toLocaleString("en");

function brief(value) {
  if (Number.isNaN(value)) return "";
  if (value === 0) return "0";
  if (!Number.isFinite(value)) return "∞";
  const size = Math.abs(value);
  if (size >= 0.01 && size < 1e5) return Number(value.toPrecision(3)).toLocaleString("en", { maximumSignificantDigits: 3 });
  return value.toExponential(1).replace("e+", "e");
}

// DOM, in one expression.
function h(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [k, v] of Object.entries(attributes ?? {})) {
    if (v === undefined || v === null || v === false) continue;
    if (k.startsWith("on")) node.addEventListener(k.slice(2), v);
    else node.setAttribute(k, v === true ? "" : v);
  }
  node.append(...children.flat().filter((c) => c !== null && c !== undefined && c !== false));
  return node;
}

const escaped = (text) => text.replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]);
