"use strict";
(() => {
  const language = document.documentElement.lang, at = (id) => document.getElementById(id);
  const { nodes, kinds, reasons, units, rows, ahead, why, map } = JSON.parse(at("rows").textContent);
  const said = at("changes").dataset;
  const written = (options) => { const form = new Intl.NumberFormat(language, { signDisplay: "exceptZero", ...options });
    return (value) => form.format(value).replace("-", "\u2212"); };
  const points = written({ maximumFractionDigits: 1 }), amount = written({ maximumSignificantDigits: 3 });
  const percent = (share) => `${points(100 * share)}\u00a0%`;
  const count = new Intl.NumberFormat(language), few = new Intl.NumberFormat(language, { maximumSignificantDigits: 3 });
  const narrow = matchMedia("(max-width: 46rem)"), GIB = 2 ** 30;
  const most = () => narrow.matches ? 8 : 50;
  const made = (name, text = "") => Object.assign(document.createElement(name), { textContent: text });

  // A table of many rows: a page of them at a time, searched and sorted. `column` is sorted first; `detail` of a row opens below it.
  const paged = ({ id, told, key, column, text, keep = () => true, also = [], detail = null }) => {
    const table = at(id), tools = at(`${id}-tools`), body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
    const search = tools.querySelector("[type=search]"), back = tools.querySelector(".back"), on = tools.querySelector(".on");
    let all = [], down = false, first = 0, chosen = [];
    const open = (line, row, button) => {
      const below = line.nextElementSibling, shut = button.getAttribute("aria-expanded") === "true";
      button.setAttribute("aria-expanded", String(!shut));
      if (shut) { below.remove(); return; }
      const opened = made("tr"), cell = made("td");
      cell.colSpan = heads.length;
      cell.append(detail(row));
      opened.append(cell);
      line.after(opened);
    };
    const show = () => {
      body.replaceChildren(...chosen.slice(first, first + most()).map((row) => {
        const line = made("tr");
        told.forEach((of, place) => {
          const cell = made(place ? "td" : "th", place || !detail ? of(row) : "");
          if (place) cell.dataset.label = heads[place].textContent; else cell.scope = "row";
          if (!place && detail) {
            const button = Object.assign(made("button", of(row)), { type: "button", className: "sort" });
            button.setAttribute("aria-expanded", "false");
            button.addEventListener("click", () => open(line, row, button));
            cell.append(button);
          }
          line.append(cell);
        });
        return line;
      }));
      const last = Math.min(first + most(), chosen.length);
      tools.querySelector("output").textContent = `${count.format(chosen.length ? first + 1 : 0)}–${count.format(last)} / ${count.format(chosen.length)}`;
      back.disabled = first === 0;
      on.disabled = last >= chosen.length;
    };
    const choose = () => {
      const words = search.value.toLocaleLowerCase(language).split(/\s+/).filter(Boolean);
      const kept = all.filter((row) => keep(row) && words.every((word) => text(row).toLocaleLowerCase(language).includes(word)));
      chosen = inOrder(kept.map((row) => [key[column](row), row]), down, language);
      first = 0;
      show();
    };
    sortButtons(heads, (place, falling) => { column = place; down = falling; choose(); });
    for (const input of [search, ...also]) input.addEventListener("input", choose);
    back.addEventListener("click", () => { first = Math.max(0, first - most()); show(); });
    narrow.addEventListener("change", show);
    on.addEventListener("click", () => { first += most(); show(); });
    return (given, falling) => {
      all = given;
      down = falling;
      heads[column].setAttribute("aria-sort", down ? "descending" : "ascending");
      tools.hidden = false;
      choose();
    };
  };

  // Of a cell: the relative change, its interval, whether it is shown, the change in its unit; or a number: why there is none.
  const relative = (c) => Array.isArray(c) ? (c[0] === null ? "–" : `${percent(c[0])} [${percent(c[1])}; ${percent(c[2])}]`) : "";
  const change = (c, unit) => Array.isArray(c) ? `${amount(c[4] / unit[0])} ${unit[1]}` : "";
  const verdict = (c) => c === null ? "–" : Array.isArray(c) ? (c[3] ? said.shown : said.unshown) : reasons[c];
  const when = (row) => new Date(row[2] * 1000).toISOString().slice(0, 16).replace("T", " ");
  const metric = at("metric"), cell = (row) => row[4][metric.value];

  const picture = (c, reach) => {
    const drawn = (name, given) => { const item = document.createElementNS("http://www.w3.org/2000/svg", name);
      for (const [key, value] of Object.entries(given)) item.setAttribute(key, value);
      return item; };
    const x = (value) => 60 + 55 * value / reach, svg = drawn("svg", { viewBox: "0 0 120 14", width: 120, height: 14, "aria-hidden": "true" });
    svg.append(drawn("line", { x1: 60, x2: 60, y1: 0, y2: 14, stroke: "currentColor", "stroke-opacity": 0.5 }),
      drawn("line", { x1: x(c[1]), x2: x(c[2]), y1: 7, y2: 7, stroke: "currentColor", "stroke-width": 2 }),
      drawn("circle", { cx: x(c[0]), cy: 7, r: 3, fill: "currentColor" }));
    return svg;
  };
  // Every metric of a change on one scale, and the other changes of the same server.
  const detail = (row) => {
    const part = document.createDocumentFragment(), table = made("table"), body = made("tbody");
    const known = row[4].filter((c) => Array.isArray(c) && c[0] !== null);
    const reach = Math.max(...known.flatMap((c) => [Math.abs(c[1]), Math.abs(c[2])]), 1e-9);
    row[4].forEach((c, place) => {
      if (c === null) return;
      const line = made("tr"), name = made("th", metric.options[place].text), drawing = made("td");
      name.scope = "row";
      if (known.includes(c)) drawing.append(picture(c, reach));
      line.append(name, drawing, made("td", relative(c)), made("td", change(c, units[place])), made("td", verdict(c)));
      body.append(line);
    });
    table.append(made("caption", `${row[0]}, ${nodes[row[1]]}, ${when(row)}: ${kinds[row[3]]}`), body);
    part.append(table);
    const others = rows.filter((other) => other !== row && other[0] === row[0] && other[1] === row[1]);
    if (others.length) part.append(made("p", `${said.others} ${others.map((other) => `${when(other)}: ${kinds[other[3]]}`).join("; ")}`));
    return part;
  };
  paged({
    id: "changes", column: 4, detail, also: [metric, at("only")],
    told: [
      (row) => row[0], (row) => nodes[row[1]], when, (row) => kinds[row[3]],
      (row) => relative(cell(row)), (row) => change(cell(row), units[metric.value]), (row) => verdict(cell(row)),
    ],
    key: [
      (row) => row[0], (row) => nodes[row[1]], (row) => row[2], (row) => kinds[row[3]],
      (row) => { const c = cell(row); return Array.isArray(c) && c[0] !== null ? c[0] : Infinity; },
      (row) => { const c = cell(row); return Array.isArray(c) ? c[4] : Infinity; },
      (row) => { const c = cell(row); return Array.isArray(c) ? 1 - c[3] : 2; },
    ],
    text: (row) => `${row[0]} ${nodes[row[1]]} ${kinds[row[3]]}`,
    keep: (row) => !at("only").checked || (Array.isArray(cell(row)) && cell(row)[3]),
  })(rows, false);

  // Of a forecast: low, typical and high; or a number: a bound; or nothing.
  const span = (r, scale, unit) => r === null ? "–" : Array.isArray(r)
    ? `${few.format(r[1] / scale)} [${few.format(r[0] / scale)}; ${few.format(r[2] / scale)}]${unit}` : `≤ ${few.format(r / scale)}${unit}`;
  const worth = (r) => r === null ? Infinity : Array.isArray(r) ? r[1] : r;
  paged({
    id: "nodes", column: 0,
    told: [
      (row) => nodes[row[0]], ...[1, 2, 3, 4].map((place) => (row) => count.format(row[place])),
      (row) => row[5] === null ? "–" : percent(row[5]), (row) => span(row[6], GIB, " GiB"), (row) => span(row[7], 1, ""),
    ],
    key: [
      (row) => nodes[row[0]], ...[1, 2, 3, 4].map((place) => (row) => row[place]),
      (row) => row[5] === null ? Infinity : row[5], ...[6, 7].map((place) => (row) => worth(row[place])),
    ],
    text: (row) => nodes[row[0]],
  })(map, false);
  if (at("ahead")) paged({
    id: "ahead", column: 5,
    told: [
      (row) => row[0], (row) => nodes[row[1]], (row) => span(row[2], GIB, " GiB"), (row) => span(row[3], GIB, " GiB"),
      (row) => span(row[4], 1, ""), (row) => span(row[5], 1, ""), (row) => row[6] < 0 ? "–" : why[row[6]],
    ],
    key: [(row) => row[0], (row) => nodes[row[1]], ...[2, 3, 4, 5].map((place) => (row) => worth(row[place])), (row) => row[6]],
    text: (row) => `${row[0]} ${nodes[row[1]]}`,
  })(ahead, true);
})();
