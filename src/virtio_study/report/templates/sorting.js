"use strict";
const inOrder = (keyed, down, language) => {
  const untold = (key) => key === Infinity; // stays last, whichever way
  const compare = (a, b) => typeof a === "number" && typeof b === "number" ? (a === b ? 0 : a < b ? -1 : 1)
    : typeof a === "number" ? (untold(a) ? 1 : -1) : typeof b === "number" ? (untold(b) ? -1 : 1)
    : a.localeCompare(b, language, { numeric: true });
  return keyed.sort(([a], [b]) => compare(a, b) * (down && !untold(a) && !untold(b) ? -1 : 1)).map((pair) => pair[1]);
};
const cellKey = (row, column) => {
  const cell = row.cells[column], number = cell.querySelector("data"), text = cell.textContent.trim();
  return number ? Number(number.value) : text === "–" ? Infinity : text;
};
const sortButtons = (heads, sort, title = () => "") => heads.forEach((head, column) => {
  const button = Object.assign(document.createElement("button"), { type: "button", className: "sort", title: title(head) });
  button.append(...head.childNodes);
  head.append(button);
  button.addEventListener("click", () => {
    const down = head.getAttribute("aria-sort") === "ascending";
    heads.forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    sort(column, down);
  });
});
