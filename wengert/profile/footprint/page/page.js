// What moves on the page: what was held at a point, boxes that fill the width, light and dark.

const data = JSON.parse(document.getElementById("data").textContent);

function node(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes ?? {})) made.setAttribute(key, value);
  made.append(...children.flat().filter((child) => child !== null && child !== ""));
  return made;
}

function shown(bytes) {
  const units = ["B", "KiB", "MiB", "GiB"];
  let n = 0;
  while (bytes >= 1024 && n < 3) { bytes /= 1024; n += 1; }
  return n === 0 ? `${bytes} B` : `${bytes.toFixed(bytes < 1000 ? 1 : 0)} ${units[n]}`;
}

function time(seconds) {
  return seconds >= 1 ? `${seconds.toPrecision(3)} s` : seconds >= 1e-3 ? `${(seconds * 1e3).toPrecision(3)} ms` : `${(seconds * 1e6).toPrecision(3)} µs`;
}

// ── the timeline ────────────────────────────────────────────────────────────

function timeline(chart, target) {
  const { points, groups, words, length } = data;
  const plot = chart.querySelector(".plot"), cursor = chart.querySelector(".cursor");
  const last = points.length - 1;
  let chosen = points.findIndex((p) => p[0] === data.peak), pinned = true;
  if (chosen < 0) chosen = 0;

  // The last drawn point that is not right of `index`.
  const nearest = (index) => {
    let low = 0, high = last;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (points[middle][0] <= index) low = middle; else high = middle - 1;
    }
    return low;
  };

  const show = (n) => {
    chosen = Math.min(Math.max(n, 0), last);
    const [index, seconds, live, top, phase, op, place, text, held] = points[chosen];
    cursor.hidden = false;
    cursor.style.left = `${(100 * (index + 0.5)) / length}%`;
    const within = top > live ? `, ${shown(top)} within the op` : "";
    const rows = held.map(([kind, bytes, count]) => {
      const [role, made, at] = groups[kind].map((w) => words[w]);
      return node("tr", null, node("td", { class: "number" }, shown(bytes)), node("td", null, node("i", { class: `role-${role}` }), role),
        node("td", null, count > 1 ? `${count} × ` : "", node("code", null, made)), node("td", null, at));
    });
    const rest = live - held.reduce((sum, [, bytes]) => sum + bytes, 0);
    if (rest > 0) rows.push(node("tr", null, node("td", { class: "number" }, shown(rest)), node("td", { class: "soft", colspan: 3 }, "all the others")));
    target.replaceChildren(
      node("p", null, node("b", null, shown(live)), ` held${within} `, node("span", { class: "soft" }, `at point ${(index + 1).toLocaleString("en")}${index === data.peak ? ", the peak" : ""}${seconds ? `, after ${time(seconds)}` : ""}: ${words[phase]}`)),
      node("p", { class: "soft" }, node("code", null, words[op]), words[place] ? ` at ${words[place]}  ` : "", node("code", null, words[text])),
      node("table", null, node("tbody", null, rows)));
  };

  const at = (event) => {
    const box = plot.getBoundingClientRect();
    return nearest(Math.floor(((event.clientX - box.left) / box.width) * length));
  };
  plot.addEventListener("pointermove", (event) => { if (!pinned || event.pointerType === "mouse" && !plot.dataset.pinned) { pinned = false; show(at(event)); } });
  plot.addEventListener("click", (event) => {
    if (plot.dataset.pinned) delete plot.dataset.pinned; else plot.dataset.pinned = "true";
    show(at(event));
  });
  chart.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -25, PageDown: 25 }[event.key];
    if (step) show(chosen + step);
    else if (event.key === "Home") show(0);
    else if (event.key === "End") show(last);
    else if (event.key === "p") show(points.findIndex((p) => p[0] === data.peak));
    else return;
    event.preventDefault();
  });
  show(chosen);
}

// ── the flame graph ─────────────────────────────────────────────────────────

function flame(root) {
  const boxes = [...root.querySelectorAll(".box")].map((box) => ({ box, row: +box.dataset.row, left: +box.dataset.left, width: +box.dataset.width }));
  const close = 1e-5;
  const zoom = (to) => {
    for (const { box, row, left, width } of boxes) {
      const within = left >= to.left - close && left + width <= to.left + to.width + close;
      const over = row < to.row && left <= to.left + close && left + width >= to.left + to.width - close;
      box.hidden = !(over || (within && row >= to.row));
      box.classList.toggle("over", over);
      box.style.left = over ? "0" : `${(100 * (left - to.left)) / to.width}%`;
      box.style.width = over ? "100%" : `${(100 * width) / to.width}%`;
    }
  };
  for (const one of boxes) one.box.addEventListener("click", () => { root.classList.add("moving"); zoom(one); });
}

// ── light and dark ──────────────────────────────────────────────────────────

function themed(button) {
  const next = { "": "dark", dark: "light", light: "" }, names = { "": "◐ auto", dark: "● dark", light: "○ light" };
  let theme = new URLSearchParams(location.hash.slice(1)).get("theme") ?? "";
  const apply = () => {
    if (theme) document.documentElement.dataset.theme = theme; else delete document.documentElement.dataset.theme;
    button.textContent = names[theme] ?? names[""];
  };
  button.hidden = false;
  button.addEventListener("click", () => { theme = next[theme] ?? ""; apply(); });
  apply();
}

themed(document.getElementById("theme"));
const chart = document.getElementById("chart"), flames = document.getElementById("flames");
if (chart && data?.points?.length) timeline(chart, document.getElementById("held"));
if (flames) flame(flames);
document.documentElement.dataset.ready = "true";
