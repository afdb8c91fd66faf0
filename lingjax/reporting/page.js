"use strict";
/* Lets every table of class "sortable" be sorted by a click, or Enter or Space, on a heading. Without it, tables are as written. */

/* The first number that stands by itself, as in "0.741 ± 0.010" or "token_jaccard 0.939"; -Infinity for a dash. */
function numberIn(text) {
  if (text === "–" || text === "") return -Infinity;
  const found = /(?:^|[\s[])[<>]?([+-]?\d[\d,]*(?:\.\d+)?)(?=[\s%[\],]|$)/.exec(text.replace("−", "-"));
  return found ? Number(found[1].replaceAll(",", "")) : NaN;
}

function sortBy(table, column, direction) {
  const body = table.tBodies[0];
  const rows = Array.from(body.rows, (row) => {
    const text = row.cells[column].innerText.trim();
    return { row, text, number: numberIn(text) };
  });
  const numeric = rows.every((entry) => !Number.isNaN(entry.number));
  rows.sort((a, b) => {
    const byNumber = numeric && a.number !== b.number ? (a.number < b.number ? -1 : 1) : 0;
    return direction * (byNumber || a.text.localeCompare(b.text, "en", { numeric: true }));
  });
  body.append(...rows.map((entry) => entry.row));
}

for (const table of document.querySelectorAll("table.sortable")) {
  if (table.tBodies[0].rows.length < 2) continue;
  const headings = Array.from(table.tHead.rows[0].cells);
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const ascending = heading.getAttribute("aria-sort") !== "ascending";
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", ascending ? "ascending" : "descending");
      sortBy(table, column, ascending ? 1 : -1);
    });
  });
}
