// Comfort only: filters, sorting, and what lies under the pointer. Without it the page shows everything.
"use strict";
(() => {
  const AT_ONCE = 200; // rows that a browser lays out without being noticed
  const filters = document.querySelector(".filters");
  if (!filters) return;
  const body = document.querySelector("#exports tbody");
  let rows = [...body.rows];
  const texts = new Map(rows.map((row) => [row, `${row.textContent} ${row.dataset.ids}`.toLowerCase()]));
  const search = document.getElementById("search");
  const states = [...filters.querySelectorAll("input[name=state]")];
  const shown = document.getElementById("shown");
  const more = document.getElementById("more");
  const figure = (n) => n.toLocaleString("en");
  let most = AT_ONCE;
  filters.hidden = false;

  function filter() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = new Set(states.filter((box) => box.checked).map((box) => box.value));
    let count = 0;
    for (const row of rows) {
      const text = texts.get(row);
      const fits = wanted.has(row.dataset.s) && words.every((word) => text.includes(word));
      row.hidden = !fits;
      count += fits;
      row.classList.toggle("later", fits && count > most);
    }
    const left = Math.max(0, count - most);
    shown.textContent = `${figure(count)} of ${figure(rows.length)} found${left ? `, the first ${figure(most)} shown` : ""}`;
    more.hidden = !left;
    more.textContent = `Show ${figure(left)} more`;
  }
  function anew() {
    most = AT_ONCE;
    filter();
  }
  search.addEventListener("input", anew);
  states.forEach((box) => box.addEventListener("change", anew));
  more.addEventListener("click", () => {
    most = Infinity;
    filter();
  });
  filter();

  document.querySelectorAll("#exports th").forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    const value = (row) => {
      const cell = row.cells[column];
      return head.classList.contains("n") ? Number(cell.dataset.v ?? (cell.textContent || -1)) : cell.textContent;
    };
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending" || (head.classList.contains("n") && !head.hasAttribute("aria-sort"));
      document.querySelectorAll("#exports th").forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const keys = new Map(rows.map((row) => [row, value(row)]));
      rows = [...rows].sort((a, b) => {
        const [x, y] = [keys.get(a), keys.get(b)];
        const order = typeof x === "number" ? x - y : x.localeCompare(y, "en", { numeric: true });
        return down ? -order : order;
      });
      body.append(...rows);
      filter();
    });
  });

  // The pictures: which export lies under the pointer, told from its row in the table.
  const tip = document.getElementById("tip");
  const axes = document.querySelectorAll("#exports th").length - 9;
  const words = (n) => {
    const row = document.getElementById(`e${n}`);
    if (!row) return "";
    const cells = [...row.cells].map((cell) => cell.textContent);
    const heads = [...document.querySelectorAll("#exports th")].map((head) => head.textContent);
    const times = [1, 2, 3].map((k) => cells[axes + k] && `${heads[axes + k]}: ${cells[axes + k]}`).filter(Boolean);
    return [`${cells.slice(1, axes + 1).join(" ")}: ${cells[0]}`, times.join(" · "), row.dataset.s === "failed" ? cells.at(-1) : ""]
      .filter(Boolean).join("\n");
  };
  const place = (picture, event) => {
    const point = new DOMPoint(event.clientX, event.clientY);
    return point.matrixTransform(picture.getScreenCTM().inverse());
  };
  const finders = {
    grid: (picture, { x, y }) => {
      const { side, gutter } = picture.dataset;
      const line = [...picture.querySelectorAll("g")].find((g) => y >= Number(g.dataset.y) && y < Number(g.dataset.y) + Number(side));
      return line && x >= gutter ? line.dataset.cells.split(",")[Math.floor((x - gutter) / side)] : undefined;
    },
    stages: (picture, { y }) => picture.dataset.bars.split(",")[Math.floor(y / picture.dataset.row)],
  };
  Object.entries(finders).forEach(([id, find]) => {
    const picture = document.getElementById(id);
    if (!picture) return;
    picture.addEventListener("pointermove", (event) => {
      tip.textContent = words(find(picture, place(picture, event)));
      tip.hidden = !tip.textContent;
      tip.style.left = `${Math.min(event.clientX + 14, innerWidth - 380)}px`;
      tip.style.top = `${event.clientY + 16}px`;
    });
    picture.addEventListener("pointerleave", () => { tip.hidden = true; });
    picture.addEventListener("click", (event) => {
      const row = document.getElementById(`e${find(picture, place(picture, event))}`);
      if (!row) return;
      search.value = "";
      states.forEach((box) => { box.checked = true; });
      anew();
      row.classList.remove("later");
      document.querySelectorAll("tr.found").forEach((other) => other.classList.remove("found"));
      row.classList.add("found");
      row.scrollIntoView({ block: "center" });
    });
  });
})();
