// The keyboard, forms that change only what changed, the path step by step, and what is led to in a picture of calls.
// Every page works without it.
(function () {
  "use strict";

  const $ = (query, within) => (within || document).querySelector(query);
  const all = (query, within) => Array.from((within || document).querySelectorAll(query));
  let at = -1; // the row that is here
  let step = 0; // of the path
  let leader = false; // g was pressed

  // -- light and dark

  function dark() {
    const chosen = document.documentElement.dataset.theme;
    return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  }

  function themes() {
    const button = $("[data-theme-switch]");
    if (!button) return;
    button.hidden = false;
    button.addEventListener("click", () => {
      const next = dark() ? "light" : "dark";
      document.documentElement.dataset.theme = next;
      try { localStorage.setItem("theme", next); } catch (error) { /* it is for this page then */ }
    });
  }

  // -- rows

  const rows = () => all("[data-row]");

  function go(to) {
    const found = rows();
    if (!found.length) return false;
    at = Math.max(0, Math.min(found.length - 1, to));
    found.forEach((row, number) => (row.closest("tr, li") || row).classList.toggle("at", number === at));
    const link = found[at].matches("[data-open]") ? found[at] : $("[data-open]", found[at]);
    if (link) link.focus({ preventScroll: true });
    found[at].scrollIntoView({ block: "nearest" });
    return true;
  }

  function open() {
    const row = rows()[at];
    if (!row) return false;
    (row.matches("[data-open]") ? row : $("[data-open]", row)).click();
    return true;
  }

  function count() {
    const bulk = $("#bulk");
    if (!bulk) return;
    const chosen = all('input[name="series"]:checked').length;
    bulk.classList.toggle("live", chosen > 0);
    const said = $("[data-chosen]", bulk);
    if (said) said.textContent = chosen === 1 ? "1 series:" : chosen + " series:";
  }

  function choose() {
    const box = rows()[at] && $('input[type="checkbox"]', rows()[at]);
    if (box && !box.disabled) { box.checked = !box.checked; count(); }
  }

  // -- the path of a proof

  function walk(by) {
    const links = all("[data-step]");
    if (!links.length) return false;
    step = Math.max(1, Math.min(links.length, step + by));
    lit(step, true);
    return true;
  }

  function lit(number, scroll) {
    step = number;
    all("[data-step]").forEach((link) => {
      if (Number(link.dataset.step) === number) link.setAttribute("aria-current", "step");
      else link.removeAttribute("aria-current");
    });
    all(".lit").forEach((line) => line.classList.remove("lit"));
    const line = document.getElementById("s" + number);
    if (!line) return;
    line.classList.add("lit");
    if (scroll) line.scrollIntoView({ block: "center" });
  }

  function path() {
    const told = $("[data-steps]");
    if (told) told.hidden = false;
    all("[data-step]").forEach((link) => link.addEventListener("click", () => {
      const after = $("#side-before");
      if (after && after.checked) $("#side-patch").checked = true;
      lit(Number(link.dataset.step), false);
    }));
  }

  // -- a picture of calls: what leads to a node and what it leads to stands out

  function picture() {
    all("svg.calls").forEach((drawn) => {
      const edges = all(".edge", drawn);
      const lead = (id) => {
        const on = new Set([id]);
        for (const [from, to] of [["from", "to"], ["to", "from"]]) {
          const front = [id];
          const seen = new Set(front);
          while (front.length) {
            const here = front.pop();
            edges.forEach((edge) => {
              if (edge.dataset[from] !== here) return;
              edge.classList.add("on");
              if (!seen.has(edge.dataset[to])) { seen.add(edge.dataset[to]); front.push(edge.dataset[to]); }
            });
          }
          seen.forEach((each) => on.add(each));
        }
        drawn.classList.add("led");
        all(".node", drawn).forEach((node) => node.classList.toggle("on", on.has(node.id)));
      };
      const leave = () => {
        drawn.classList.remove("led");
        all(".on", drawn).forEach((each) => each.classList.remove("on"));
      };
      all(".node", drawn).forEach((node) => {
        const enter = () => { leave(); lead(node.id); };
        node.addEventListener("pointerenter", enter);
        node.addEventListener("focus", enter);
        node.addEventListener("pointerleave", leave);
        node.addEventListener("blur", leave);
      });
      const root = $(".node.root", drawn);
      const box = drawn.closest(".picture");
      if (root && box) {
        const shape = root.getBBox();
        box.scrollLeft = shape.x + shape.width / 2 - box.clientWidth / 2;
        box.scrollTop = shape.y + shape.height / 2 - box.clientHeight / 2;
      }
    });
  }

  // -- forms: the page that answers takes the place of this one, without loading it anew

  async function send(form, submitter) {
    const fields = new URLSearchParams();
    for (const [name, value] of new FormData(form, submitter)) fields.append(name, String(value));
    const row = at;
    const answer = await fetch(form.action, { method: "POST", body: fields, credentials: "same-origin" });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const main = $("main", page);
    if (!main) { location.reload(); return; }
    $("main").replaceWith(document.adoptNode(main));
    const bar = $(".bar nav", page);
    if (bar) $(".bar nav").replaceWith(document.adoptNode(bar));
    document.title = page.title;
    document.body.className = page.body.className;
    document.body.dataset.page = page.body.dataset.page || "";
    if (answer.ok && answer.redirected) history.replaceState(null, "", answer.url);
    ready();
    at = -1;
    const first = $("[data-first]"); // what is asked before it is done
    if (first) first.focus();
    else if (row >= 0 && rows().length) go(row);
    else $("main").focus({ preventScroll: true });
  }

  function forms() {
    all("form[data-swap]").forEach((form) => form.addEventListener("submit", (event) => {
      event.preventDefault();
      const submitter = event.submitter;
      send(form, submitter).catch(() => form.submit());
    }));
    all('input[name="series"]').forEach((box) => box.addEventListener("change", count));
    count();
  }

  // -- keys

  const PLACES = { q: "/queue", o: "/outbox", r: "/rules", l: "/lists", s: "/status" };

  function press(key) {
    const found = $('[data-key="' + CSS.escape(key) + '"]');
    if (!found || found.disabled) return false;
    if (found.matches("input, select")) { found.focus(); if (found.select) found.select(); }
    else found.click();
    return true;
  }

  function decide(key) {
    // In the queue it is about what is chosen, else about the row that is here.
    if ($("#bulk") && !all('input[name="series"]:checked').length) choose();
    if ($("#bulk") && !all('input[name="series"]:checked').length) return false;
    return press(key);
  }

  function keyed(event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const where = event.target;
    const writing = where.matches && where.matches("input:not([type=checkbox]):not([type=radio]), textarea, select");
    if (event.key === "Escape") { if (writing) where.blur(); return; }
    if (writing) return;
    let done = true;
    if (leader) {
      leader = false;
      if (PLACES[event.key]) location.href = PLACES[event.key]; else done = false;
    } else switch (event.key) {
      case "g": leader = true; break;
      case "j": done = go(at + 1) || press("j"); break;
      case "k": done = go(at - 1) || press("k"); break;
      case "o": done = open(); break;
      case "x": choose(); break;
      case "n": done = walk(1); break;
      case "p": done = walk(-1); break;
      case "i": { const up = $("[data-up]"); if (up) up.click(); break; }
      case "c": case "d": case "s": done = decide(event.key); break;
      case "u": case "r": case "e": case "R": case "/": case "?": done = press(event.key); break;
      default: done = false;
    }
    if (done) event.preventDefault();
  }

  function ready() {
    path();
    picture();
    forms();
    const facets = $("[data-facets]");
    if (facets && matchMedia("(max-width: 48rem)").matches) facets.open = false;
    const line = /^#s(\d+)$/.exec(location.hash);
    if (line) lit(Number(line[1]), false);
  }

  document.addEventListener("keydown", keyed);
  document.addEventListener("DOMContentLoaded", () => { themes(); ready(); });
})();
