"use strict";
(function () {
  var root = document.documentElement;

  function button(text, label, act) {
    var made = document.createElement("button");
    made.type = "button";
    made.textContent = text;
    if (label) { made.setAttribute("aria-label", label); }
    made.addEventListener("click", act);
    return made;
  }

  function isDark() {
    var chosen = root.getAttribute("data-theme");
    return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  }

  var toggle = button("", "", function () {
    root.setAttribute("data-theme", isDark() ? "light" : "dark");
    name();
  });
  function name() { toggle.textContent = isDark() ? "Light colours" : "Dark colours"; }
  toggle.id = "theme";
  name();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", name);
  document.querySelector("header").appendChild(toggle);

  // A cell's own value where it has one, else its text; an empty cell comes last, whichever way.
  function value(row, column, numeric) {
    var cell = row.cells[column];
    if (!numeric) { return cell.textContent; }
    return cell.hasAttribute("data-value") ? Number(cell.getAttribute("data-value")) : null;
  }

  function sort(table, column, head) {
    var down = head.getAttribute("aria-sort") === "ascending";
    var body = table.tBodies[0], numeric = head.classList.contains("number");
    var rows = Array.from(body.rows), rest = rows.filter(function (row) { return row.classList.contains("rest"); });
    var keyed = rows.filter(function (row) { return !row.classList.contains("rest"); }).map(function (row, place) {
      return [value(row, column, numeric), place, row];
    });
    keyed.sort(function (a, b) {
      if (a[0] === b[0]) { return a[1] - b[1]; }
      if (a[0] === null) { return 1; }
      if (b[0] === null) { return -1; }
      var order = numeric ? a[0] - b[0] : a[0].localeCompare(b[0], "en", {numeric: true});
      return down ? -order : order;
    });
    Array.from(head.parentNode.cells).forEach(function (one) { one.removeAttribute("aria-sort"); });
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    keyed.forEach(function (one) { body.appendChild(one[2]); });
    rest.forEach(function (row) { body.appendChild(row); });
  }

  function csvCell(text) {
    if (/^\s*[=+\-@＝＋－＠]/.test(text) && !/^[+\-]?[0-9.]+(e[+\-]?[0-9]+)?$/i.test(text)) { text = "'" + text; }
    return /[",\n\r]/.test(text) ? '"' + text.replace(/"/g, '""') + '"' : text;
  }

  function csv(table) {
    return Array.from(table.rows).map(function (row) {
      return Array.from(row.cells).map(function (cell) {
        return csvCell(cell.hasAttribute("data-value") ? cell.getAttribute("data-value") : cell.textContent);
      }).join(",");
    }).join("\r\n") + "\r\n";
  }

  function save(table) {
    var link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([csv(table)], {type: "text/csv"}));
    link.download = table.id + ".csv";
    link.click();
    setTimeout(function () { URL.revokeObjectURL(link.href); }, 1000);
  }

  function filter(table) {
    var box = document.createElement("input");
    box.type = "search";
    box.placeholder = "rows with …";
    box.setAttribute("aria-label", "Show rows with this text");
    box.addEventListener("input", function () {
      var wanted = box.value.toLowerCase();
      Array.from(table.tBodies[0].rows).forEach(function (row) {
        row.hidden = row.textContent.toLowerCase().indexOf(wanted) < 0;
      });
    });
    return box;
  }

  document.querySelectorAll("table.sortable").forEach(function (table) {
    Array.from(table.tHead.rows[0].cells).forEach(function (head, column) {
      var made = button(head.textContent, "", function () { sort(table, column, head); });
      head.textContent = "";
      head.appendChild(made);
    });
    var tools = document.createElement("div");
    tools.className = "tools";
    if (table.tBodies[0].rows.length > 12) { tools.appendChild(filter(table)); }
    tools.appendChild(button("Save as CSV", "Save this table as CSV", function () { save(table); }));
    table.parentNode.parentNode.insertBefore(tools, table.parentNode);
  });
})();
