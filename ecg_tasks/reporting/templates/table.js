"use strict";
// The table is whole without this: here it gets sorting, filters and pages of 100 rows, so that 10,000 rows stay quick.
(() => {
  const PAGE = 100;
  const body = document.querySelector("#table tbody");
  if (!body) return; // a report without records says why, and has no table
  const get = (id) => document.getElementById(id);
  const heads = Array.from(document.querySelectorAll("#table thead th"));
  const at = (name) => heads.findIndex((head) => head.dataset.column === name);
  const isNumber = (index) => heads[index].classList.contains("num");
  const all = Array.from(body.rows, (row, index) => ({
    row, index, cells: Array.from(row.cells, (cell) => cell.textContent), text: row.textContent.toLowerCase(),
    differs: row.querySelector("td.differs") !== null, page: row.querySelector("a") !== null,
  }));
  let shown = all, first = 0, column = -1, direction = 1;

  function draw() {
    body.replaceChildren(...shown.slice(first, first + PAGE).map((item) => item.row));
    const n = shown.length.toLocaleString("en"), total = all.length.toLocaleString("en");
    get("status").textContent = shown.length
      ? `Rows ${(first + 1).toLocaleString("en")} to ${Math.min(first + PAGE, shown.length).toLocaleString("en")} of ${n}` + (shown.length < all.length ? ` (${total} without the filter)` : "")
      : `No row passes the filter; there are ${total} without it`;
    get("previous").disabled = first === 0;
    get("next").disabled = first + PAGE >= shown.length;
  }

  function update() {
    const words = get("search").value.toLowerCase().split(/\s+/).filter(Boolean)
      .map((word) => /^[0-9a-f]{32}$/.test(word) ? word.slice(0, 8) : word);
    const decision = get("decision").value, recipe = get("recipe").value, differs = get("differs").checked, page = get("paged").checked;
    shown = all.filter((item) => (!decision || item.cells[at("decision")] === decision) && (!recipe || item.cells[at("recipe")] === recipe)
      && (!differs || item.differs) && (!page || item.page) && words.every((word) => item.text.includes(word)));
    if (column >= 0) {
      const order = new Intl.Collator("en", { numeric: true }).compare, numeric = isNumber(column);
      const value = (item) => { const number = parseFloat(item.cells[column]); return Number.isNaN(number) ? -1 : number; };
      shown.sort((a, b) => direction * (numeric ? value(a) - value(b) : order(a.cells[column], b.cells[column])) || a.index - b.index);
    }
    first = 0;
    draw();
  }

  heads.forEach((head, index) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      direction = column === index ? -direction : (isNumber(index) ? -1 : 1);
      column = index;
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
      update();
    });
  });
  get("controls").addEventListener("input", update);
  get("controls").addEventListener("submit", (event) => event.preventDefault());
  get("previous").addEventListener("click", () => { first -= PAGE; draw(); });
  get("next").addEventListener("click", () => { first += PAGE; draw(); });
  get("controls").hidden = get("pager").hidden = false;
  draw();
})();
