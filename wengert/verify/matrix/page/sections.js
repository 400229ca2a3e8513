// What stands below the matrix, each part only if the data have it.

function section(id, title, intro, ...children) {
  return h("section", { id, "aria-labelledby": id + "-title" }, h("h2", { id: id + "-title" }, title), h("p", { class: "intro" }, intro), ...children);
}

function table(label, head, rows, kind = "") {
  return h("div", { class: "scroll " + kind, tabindex: "0", role: "region", "aria-label": label },
    h("table", { class: "plain" }, h("thead", null, h("tr", null, head.map((t) => h("th", { scope: "col", class: t.startsWith("#") ? "number" : null }, t.replace(/^#/, ""))))), h("tbody", null, rows)));
}

// The first `limit` of many rows, and a button for the rest.
function long(label, head, rows, limit, kind) {
  const view = table(label, head, rows.slice(0, limit), kind);
  if (rows.length <= limit) return view;
  const more = h("button", { type: "button", class: "more", onclick: () => { view.querySelector("tbody").append(...rows.slice(limit)); more.remove(); } }, `show all ${whole(rows.length)}`);
  return h("div", null, view, more);
}

const cell = (text, kind) => h("td", { class: kind }, text);
const reasoned = (reason, remedy) => [reason, remedy ? h("span", { class: "remedy" }, " ", remedy) : null];

// A share of something as a bar of segments: [class, count, what].
function stacked(segments) {
  const total = segments.reduce((sum, [, n]) => sum + n, 0);
  return h("div", { class: "stacked", role: "img", "aria-label": segments.filter(([, n]) => n).map(([, n, what]) => `${whole(n)} ${what}`).join(", ") },
    segments.filter(([, n]) => n).map(([kind, n, what]) => h("i", { class: kind, style: `flex-grow:${n / total}`, title: `${whole(n)} ${what}` })));
}

function names(matrix) {
  const all = matrix.names ?? [], kinds = Object.keys(matrix.words.names), chosen = { status: "", space: "", q: "" };
  if (!all.length) return null;
  const spaces = [...new Set(all.map((n) => n.space))], failing = all.filter((n) => n.failures?.length);
  const count = (list, status) => list.filter((n) => n.status === status).length;
  const overview = table("Names by place", ["where", "", ...kinds.map((k) => "#" + k)], spaces.map((space) => {
    const list = all.filter((n) => n.space === space);
    return h("tr", null, h("th", { scope: "row" }, space), h("td", { class: "wide" }, stacked(kinds.map((k) => ["name-" + k, count(list, k), k]))), kinds.map((k) => cell(count(list, k) ? whole(count(list, k)) : "", "number")));
  }), "compact");
  const result = h("div", { "aria-live": "polite" });
  const show = () => {
    const q = chosen.q.toLowerCase();
    const rows = all.filter((n) => (!chosen.status || (chosen.status === "failing" ? n.failures?.length : n.status === chosen.status)) && (!chosen.space || n.space === chosen.space) && (n.name.toLowerCase().includes(q) || n.reason.toLowerCase().includes(q)));
    result.replaceChildren(long("Names", ["name", "where", "status", "#examples", "reason, and what to do"], rows.map((n) => h("tr", { class: n.failures?.length ? "bad" : null },
      h("th", { scope: "row" }, h("code", null, n.name)), cell(n.space, "short"), h("td", { class: "short" }, h("span", { class: "dot name-" + n.status }), n.status), cell(n.examples || "", "number"),
      h("td", { class: "text" }, n.failures?.length ? h("span", { class: "fails" }, n.failures.join("; ")) : reasoned(n.reason, n.remedy)))), 25));
  };
  const select = (key, label, options) => h("label", null, label, " ", h("select", { onchange: (e) => { chosen[key] = e.target.value; show(); } }, h("option", { value: "" }, "all"), options.map((o) => h("option", { value: o }, o))));
  show();
  return section("names", "Names", `What becomes of ${whole(all.length)} public names of NumPy, SciPy and the array API standard. ` +
    (failing.length ? `${failing.length} of them have a failing example.` : "Every example of them passes."), overview,
    h("div", { class: "tools" }, h("label", null, "search ", h("input", { type: "search", oninput: (e) => { chosen.q = e.target.value; show(); } })),
      select("status", "status", failing.length ? [...kinds, "failing"] : kinds), select("space", "where", spaces)), result);
}

function accuracy(matrix) {
  const all = (matrix.accuracy ?? []).map((a) => ({ ...a, worst: Number(a.worst_ulp ?? NaN), median: Number(a.median_ulp ?? NaN), limit: Number(a.bound ?? NaN) }));
  if (!all.length) return null;
  all.sort((a, b) => b.worst / b.limit - a.worst / a.limit || b.worst - a.worst);
  const most = Math.max(10, ...all.flatMap((a) => [a.worst, a.limit]).filter(Number.isFinite)), decades = Math.ceil(Math.log10(most));
  const x = (v) => Math.max(0, Math.min(1, (Math.log10(Math.max(v, 0.1)) + 1) / (decades + 1)));
  const ticks = Array.from({ length: decades + 2 }, (_, n) => n - 1);
  const every = Math.ceil(ticks.length / 6);
  const axis = h("div", { class: "axis", "aria-hidden": "true" }, ticks.filter((n) => (n + 1) % every === 0).map((n) => h("span", { style: `left:${100 * x(10 ** n)}%` }, n < 4 ? String(10 ** n) : "1e" + n)));
  const plot = (a) => h("div", { class: "dots", role: "img", "aria-label": `median ${brief(a.median)} ulp, worst ${brief(a.worst)} ulp, bound ${brief(a.limit)}` },
    h("i", { class: "range", style: `left:${100 * x(a.median)}%;right:${100 - 100 * x(a.worst)}%` }),
    Number.isNaN(a.limit) ? null : h("i", { class: "bound", style: `left:${100 * x(a.limit)}%` }),
    h("i", { class: "median", style: `left:${100 * x(a.median)}%` }), h("i", { class: "worst" + (a.worst > a.limit ? " over" : ""), style: `left:${100 * x(a.worst)}%` }));
  const over = all.filter((a) => a.worst > a.limit).length, points = all.reduce((sum, a) => sum + a.points, 0);
  const result = h("div", { "aria-live": "polite" });
  const show = (q) => {
    const rows = all.filter((a) => a.name.toLowerCase().includes(q.toLowerCase())).map((a) => h("tr", { class: a.worst > a.limit ? "bad" : null },
      h("th", { scope: "row" }, h("code", null, a.name)), cell(a.parameter, "number"), h("td", { class: "wide" }, plot(a)),
      cell(brief(a.median), "number"), cell(brief(a.worst), "number"), cell(brief(a.limit), "number"), cell((a.where ?? []).map((v) => (typeof v === "number" ? brief(v) : v)).join(", "), "at"), cell(a.points, "number"), cell(a.note, a.note ? "text" : null)));
    const view = long("Accuracy", ["function", "#argument", "ulp", "#median", "#worst", "#bound", "worst at", "#points", "note"], rows, 25);
    view.querySelectorAll("thead th")[2].replaceChildren("ulp", axis);
    result.replaceChildren(view);
  };
  show("");
  return section("accuracy", "Accuracy of special functions", `Derivatives of ${whole(new Set(all.map((a) => a.name)).size)} functions against mpmath at 30 digits or more, on ${whole(points)} points. ` +
    (over ? `${over} exceed their bound. ` : "All stay below their bound. ") + "Hollow: the median; filled: the worst point; the bar is the bound. Closest to the bound first.",
    h("div", { class: "tools" }, h("label", null, "search ", h("input", { type: "search", oninput: (e) => show(e.target.value) }))), result);
}

function mutants(matrix) {
  const m = matrix.mutants;
  if (!m) return null;
  const survivors = m.survivors ?? [];
  return section("mutants", "Wrong rules", `Rules made wrong on purpose, to see that the checks notice: ${whole(m.caught)} of ${whole(m.tried)} were caught, over ${m.seeds} seed${m.seeds === 1 ? "" : "s"}.`,
    table("Kinds of wrong rules", ["what was made wrong", "", "#caught", "#tried"], Object.entries(m.kinds).map(([kind, [caught, tried]]) =>
      h("tr", { class: caught < tried ? "bad" : null }, h("th", { scope: "row" }, kind), h("td", { class: "wide" }, stacked([["caught", caught, "caught"], ["missed", tried - caught, "missed"]])), cell(whole(caught), "number"), cell(whole(tried), "number"))), "compact"),
    survivors.length ? [h("h3", null, "Not caught"), table("Survivors", ["op", "what was made wrong", "why it went unnoticed"], survivors.map((s) => h("tr", null, h("th", { scope: "row" }, h("code", null, s.op)), cell(s.kind, "short"), cell(s.why, "text"))))] : null);
}

function gaps(matrix) {
  const all = matrix.gaps ?? [];
  if (!all.length) return null;
  const by = [...new Set(all.flatMap((g) => Object.keys(g.by ?? {})))], most = Math.max(...all.map((g) => g.uses));
  return section("gaps", "Gaps", "Names that carry no derivative yet, by how often real code calls them. The first is the next to add.",
    long("Gaps", ["name", "where", "", "#calls", ...by.map((b) => "#in " + b), "status", "reason"], all.map((g) => h("tr", null,
      h("th", { scope: "row" }, h("code", null, g.name)), cell(g.space, "short"), h("td", { class: "wide" }, h("i", { class: "length", style: `width:${Math.max(1, 100 * g.uses / most)}%` })),
      cell(whole(g.uses), "number"), by.map((b) => cell(g.by?.[b] ? whole(g.by[b]) : "", "number")), h("td", { class: "short" }, h("span", { class: "dot name-" + g.status }), g.status), cell(g.reason, "text"))), 20, "slim"));
}
