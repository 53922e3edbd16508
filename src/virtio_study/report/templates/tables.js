"use strict";
(() => {
  const key = (row, column) => {
    const cell = row.cells[column], number = cell.querySelector("data"), text = cell.textContent.trim();
    return number ? Number(number.value) : text === "–" ? Infinity : text;
  };
  const compare = (a, b, language) => typeof a === "number" && typeof b === "number" ? (a === b ? 0 : a < b ? -1 : 1)
    : typeof a === "number" ? (a === Infinity ? 1 : -1) : typeof b === "number" ? (b === Infinity ? -1 : 1)
    : a.localeCompare(b, language, { numeric: true });

  for (const tools of document.querySelectorAll(".tools[data-table]")) {
    const table = document.getElementById(tools.dataset.table).closest("table"), body = table.tBodies[0];
    const heads = [...table.tHead.rows[0].cells], language = table.closest("[lang]").lang;
    const search = tools.querySelector("input"), output = tools.querySelector("output");
    const count = new Intl.NumberFormat(language);
    let all = [...body.rows];
    const texts = new Map(all.map((row) => [row, row.textContent.toLocaleLowerCase(language)]));
    const show = () => {
      const words = search.value.toLocaleLowerCase(language).split(/\s+/).filter(Boolean);
      const shown = all.filter((row) => words.every((word) => texts.get(row).includes(word)));
      body.replaceChildren(...shown);
      output.textContent = `${count.format(shown.length)} / ${count.format(all.length)}`;
    };
    heads.forEach((head, column) => {
      const button = Object.assign(document.createElement("button"), { type: "button", className: "sort" });
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const keyed = all.map((row) => [key(row, column), row]);
        // what is not told stays last, whichever way
        keyed.sort((a, b) => compare(a[0], b[0], language) * (down && a[0] !== Infinity && b[0] !== Infinity ? -1 : 1));
        all = keyed.map((pair) => pair[1]);
        show();
      });
    });
    search.addEventListener("input", show);
    tools.hidden = false;
    show();
  }
})();
