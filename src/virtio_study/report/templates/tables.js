"use strict";
(() => {
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
    sortButtons(heads, (column, down) => {
      all = inOrder(all.map((row) => [cellKey(row, column), row]), down, language);
      show();
    });
    search.addEventListener("input", show);
    tools.hidden = false;
    show();
  }
})();
