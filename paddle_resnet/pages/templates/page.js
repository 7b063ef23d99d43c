"use strict";
// Read-outs only: without this script the page shows everything but the values under the pointer.
(function () {
  function make(tag, cls, text) {
    const element = document.createElement(tag);
    if (cls) element.className = cls;
    // textContent, never innerHTML: names come from files.
    if (text !== undefined) element.textContent = text;
    return element;
  }
  function data(id) {
    const block = document.getElementById(id);
    return block ? JSON.parse(block.textContent) : null;
  }

  // ---- Line charts: a crosshair in all over the same axis, the values in the one pointed at.
  function nearest(xs, at) {
    let best = -1, gap = Infinity;
    for (let i = 0; i < xs.length; i++) {
      if (xs[i] === null) continue;
      const distance = Math.abs(xs[i] - at);
      if (distance < gap) { gap = distance; best = i; }
    }
    return best;
  }
  const charts = (data("curves-data") || []).map(function (chart) {
    const area = document.querySelector('[data-chart="' + chart.id + '"]');
    const cross = make("div", "cross"), readout = make("div", "readout");
    readout.setAttribute("aria-hidden", "true");
    const marks = chart.series.map(function (s) { return make("div", "mark " + s.kind); });
    [cross].concat(marks, readout).forEach(function (e) { e.hidden = true; area.append(e); });
    let stops = [];
    chart.series.forEach(function (s) { stops = stops.concat(s.x.filter(function (x) { return x !== null; })); });
    stops = Array.from(new Set(stops)).sort(function (a, b) { return a - b; });
    return { area: area, over: chart.over, cross: cross, readout: readout, marks: marks, series: chart.series, stops: stops };
  });
  function snap(chart, at) { return chart.stops[nearest(chart.stops, at)]; }
  function show(chart, x, talk) {
    chart.cross.hidden = false;
    chart.cross.style.left = x * 100 + "%";
    const rows = [];
    let place = null;
    chart.series.forEach(function (s, k) {
      const i = nearest(s.x, x), mark = chart.marks[k];
      mark.hidden = true;
      if (i < 0) return;
      if (s.x[i] === x && place === null) place = s.place[i];
      if (s.y[i] !== null && s.y[i] >= 0 && s.y[i] <= 1) {
        mark.hidden = false;
        mark.style.left = s.x[i] * 100 + "%";
        mark.style.top = s.y[i] * 100 + "%";
      }
      const elsewhere = Math.abs(s.x[i] - x) > 0.004 ? " (" + s.place[i].split(" · ")[0] + ")" : "";
      rows.push([s.name + elsewhere, s.text[i]]);
    });
    chart.readout.hidden = !talk;
    if (!talk) return;
    chart.readout.replaceChildren(make("b", "", place || ""));
    rows.forEach(function (row) {
      const line = make("div");
      line.append(make("i", "", row[0]), make("span", "value", row[1]));
      chart.readout.append(line);
    });
    const room = chart.area.clientWidth, width = chart.readout.offsetWidth, at = x * room;
    const left = at + 12 + width <= room ? at + 12 : at - 12 - width >= 0 ? at - 12 - width : Math.max(0, Math.min(room - width, at - width / 2));
    chart.readout.style.left = left + "px";
    // Away from the values it speaks of.
    const shown = chart.marks.filter(function (m) { return !m.hidden; }).map(function (m) { return parseFloat(m.style.top); });
    const low = shown.length && shown.reduce(function (a, b) { return a + b; }, 0) / shown.length < 50;
    chart.readout.style.top = low ? "auto" : "";
    chart.readout.style.bottom = low ? ".4rem" : "auto";
    chart.area.setAttribute("aria-valuenow", Math.round(x * 100));
    chart.area.setAttribute("aria-valuetext", (place || "") + ": " + rows.map(function (r) { return r.join(" "); }).join(", "));
  }
  function point(chart, at) {
    const x = snap(chart, at);
    chart.at = x;
    clear();
    charts.forEach(function (other) {
      if (other.over === chart.over) show(other, other === chart ? x : snap(other, x), other === chart);
    });
  }
  function clear() {
    charts.forEach(function (chart) {
      [chart.cross, chart.readout].concat(chart.marks).forEach(function (e) { e.hidden = true; });
    });
  }
  charts.forEach(function (chart) {
    const area = chart.area;
    area.tabIndex = 0;
    area.setAttribute("role", "slider");
    area.setAttribute("aria-valuemin", 0);
    area.setAttribute("aria-valuemax", 100);
    area.setAttribute("aria-valuenow", 100);
    area.setAttribute("aria-valuetext", "Arrow keys read the values");
    function follow(event) {
      const box = area.getBoundingClientRect();
      point(chart, (event.clientX - box.left) / box.width);
    }
    area.addEventListener("pointermove", follow);
    area.addEventListener("pointerdown", follow);
    area.addEventListener("pointerleave", function (event) { if (event.pointerType === "mouse") clear(); });
    area.addEventListener("focus", function () { if (area.matches(":focus-visible")) point(chart, chart.at === undefined ? 1 : chart.at); });
    area.addEventListener("blur", clear);
    area.addEventListener("keydown", function (event) {
      const i = chart.stops.indexOf(chart.at), last = chart.stops.length - 1;
      const to = { ArrowLeft: i - 1, ArrowRight: i + 1, PageDown: i - 20, PageUp: i + 20, Home: 0, End: last }[event.key];
      if (event.key === "Escape") clear();
      if (to === undefined) return;
      event.preventDefault();
      point(chart, chart.stops[Math.max(0, Math.min(last, to))]);
    });
  });

  // ---- One small tip for everything that carries a sentence.
  const tip = make("div", "tip");
  tip.hidden = true;
  tip.setAttribute("role", "status");
  document.body.append(tip);
  function say(text, x, y) {
    tip.textContent = text;
    tip.hidden = false;
    const wide = document.documentElement.clientWidth;
    tip.style.left = Math.max(8, Math.min(wide - tip.offsetWidth - 8, x - tip.offsetWidth / 2)) + "px";
    tip.style.top = (y - tip.offsetHeight - 14 > 4 ? y - tip.offsetHeight - 14 : y + 20) + "px";
  }
  let lit = [];
  function light(cell) {
    lit.forEach(function (e) { e.classList.remove("lit"); });
    const table = cell && cell.closest(".matrix");
    lit = table ? [cell.parentNode.cells[0], table.tHead.rows[0].cells[cell.cellIndex]] : [];
    lit.forEach(function (e) { e.classList.add("lit"); });
  }
  const heat = document.querySelector("[data-heat]"), fields = data("heat-data");
  const counts = new Map(), images = [];
  if (fields) fields.fields.forEach(function (f) {
    counts.set(f[0] + "," + f[1], f[2]);
    images[f[0]] = (images[f[0]] || 0) + f[2];
  });
  function heatText(event) {
    const box = heat.getBoundingClientRect(), n = fields.names.length;
    const column = Math.min(n - 1, Math.max(0, Math.floor((event.clientX - box.left) / box.width * n)));
    const row = Math.min(n - 1, Math.max(0, Math.floor((event.clientY - box.top) / box.height * n)));
    const many = counts.get(row + "," + column) || 0, all = images[row] || 0;
    const what = fields.names[row] + (row === column ? " recognised" : " taken for " + fields.names[column]);
    const share = all ? " (" + (many / all * 100).toFixed(1) + "\u00a0%)" : "";
    return what + ": " + many.toLocaleString("en") + " of " + all.toLocaleString("en") + share;
  }
  function talk(event) {
    const target = event.target.closest("[data-tip]");
    if (target) say(target.dataset.tip, event.clientX, event.clientY);
    else if (heat && fields && event.target === heat) say(heatText(event), event.clientX, event.clientY);
    else tip.hidden = true;
    light(target && target.tagName === "TD" ? target : null);
  }
  document.addEventListener("pointermove", talk);
  document.addEventListener("pointerdown", talk);
  document.addEventListener("scroll", function () { tip.hidden = true; }, { passive: true, capture: true });

  // ---- Tables that sort by the column that is clicked.
  document.querySelectorAll("table[data-sort]").forEach(function (table) {
    Array.from(table.tHead.rows[0].cells).forEach(function (head, column) {
      const button = make("button", "", head.textContent);
      button.type = "button";
      head.replaceChildren(button);
      button.addEventListener("click", function () {
        const down = head.getAttribute("aria-sort") !== "descending" && column > 0
          || head.getAttribute("aria-sort") === "ascending";
        Array.from(table.tHead.rows[0].cells).forEach(function (h) { h.removeAttribute("aria-sort"); });
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const key = function (row) { return row.cells[column].dataset.value || row.cells[column].textContent; };
        const rows = Array.from(table.tBodies[0].rows).sort(function (a, b) {
          return key(a).localeCompare(key(b), "en", { numeric: true });
        });
        if (down) rows.reverse();
        table.tBodies[0].append.apply(table.tBodies[0], rows);
      });
    });
  });

  // ---- Copy buttons, where the browser lets a page copy.
  document.querySelectorAll("[data-copy]").forEach(function (button) {
    if (!navigator.clipboard) return;
    button.hidden = false;
    button.addEventListener("click", function () {
      navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent).then(function () {
        button.textContent = "Copied";
        setTimeout(function () { button.textContent = "Copy"; }, 1500);
      }, function () { button.textContent = "Select and copy"; });
    });
  });

  // ---- On paper everything is open.
  let closed = [];
  addEventListener("beforeprint", function () {
    closed = Array.from(document.querySelectorAll("details:not([open])"));
    closed.forEach(function (d) { d.open = true; });
  });
  addEventListener("afterprint", function () { closed.forEach(function (d) { d.open = false; }); });
})();
