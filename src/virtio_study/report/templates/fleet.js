"use strict";
(() => {
  const language = document.documentElement.lang, at = (id) => document.getElementById(id);
  const { nodes, kinds, reasons, units, rows } = JSON.parse(at("rows").textContent);
  const said = at("changes").dataset, body = at("changes").tBodies[0], heads = [...at("changes").tHead.rows[0].cells];
  const percent = new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: 1, signDisplay: "exceptZero" });
  const amount = new Intl.NumberFormat(language, { maximumSignificantDigits: 3, signDisplay: "exceptZero" });
  const count = new Intl.NumberFormat(language), SHOWN = 50;
  let column = 4, down = false, first = 0, chosen = [];

  // Of a cell: the relative change, its interval, whether it is shown, the change in its unit; or a number: why there is none.
  const cell = (row) => row[4][at("metric").value];
  const told = [
    (row) => row[0], (row) => nodes[row[1]], (row) => new Date(row[2] * 1000).toISOString().slice(0, 16).replace("T", " "),
    (row) => kinds[row[3]],
    (row) => { const c = cell(row);
      return Array.isArray(c) ? (c[0] === null ? "–" : `${percent.format(c[0])} [${percent.format(c[1])}; ${percent.format(c[2])}]`) : ""; },
    (row) => { const c = cell(row), unit = units[at("metric").value];
      return Array.isArray(c) ? `${amount.format(c[4] / unit[0])} ${unit[1]}` : ""; },
    (row) => { const c = cell(row); return c === null ? "–" : Array.isArray(c) ? (c[3] ? said.shown : said.unshown) : reasons[c]; },
  ];
  const key = [
    (row) => row[0], (row) => nodes[row[1]], (row) => row[2], (row) => kinds[row[3]],
    (row) => { const c = cell(row); return Array.isArray(c) && c[0] !== null ? c[0] : Infinity; },
    (row) => { const c = cell(row); return Array.isArray(c) ? c[4] : Infinity; },
    (row) => { const c = cell(row); return Array.isArray(c) ? 1 - c[3] : 2; },
  ];
  const compare = (a, b) => typeof a === "number" ? (a === b ? 0 : a < b ? -1 : 1) : a.localeCompare(b, language, { numeric: true });

  const show = () => {
    const page = chosen.slice(first, first + SHOWN);
    body.replaceChildren(...page.map((row) => {
      const line = document.createElement("tr");
      told.forEach((text, place) => {
        const made = document.createElement(place ? "td" : "th");
        if (place) made.dataset.label = heads[place].textContent; else made.scope = "row";
        made.textContent = text(row);
        line.append(made);
      });
      return line;
    }));
    const last = Math.min(first + SHOWN, chosen.length);
    at("place").textContent = `${count.format(chosen.length ? first + 1 : 0)}–${count.format(last)} / ${count.format(chosen.length)}`;
    at("back").disabled = first === 0;
    at("on").disabled = last >= chosen.length;
  };
  const choose = () => {
    const words = at("search").value.toLocaleLowerCase(language).split(/\s+/).filter(Boolean);
    const within = (row) => { const text = `${row[0]} ${nodes[row[1]]} ${kinds[row[3]]}`.toLocaleLowerCase(language);
      return words.every((word) => text.includes(word)); };
    const kept = rows.filter((row) => within(row) && (!at("only").checked || (Array.isArray(cell(row)) && cell(row)[3])));
    const keyed = kept.map((row) => [key[column](row), row]);
    keyed.sort((a, b) => compare(a[0], b[0]) * (down && a[0] !== Infinity && b[0] !== Infinity ? -1 : 1));
    chosen = keyed.map((pair) => pair[1]);
    first = 0;
    heads.forEach((head, place) => place === column ? head.setAttribute("aria-sort", down ? "descending" : "ascending")
      : head.removeAttribute("aria-sort"));
    show();
  };
  heads.forEach((head, place) => {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", className: "sort" });
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => { down = place === column && !down; column = place; choose(); });
  });
  for (const id of ["search", "metric", "only"]) at(id).addEventListener("input", choose);
  at("back").addEventListener("click", () => { first = Math.max(0, first - SHOWN); show(); });
  at("on").addEventListener("click", () => { first += SHOWN; show(); });
  at("tools").hidden = false;
  choose();
})();
