"use strict";
(() => {
  const page = document.documentElement, said = document.body.dataset;
  const element = (tag, attributes, text) => {
    const made = Object.assign(document.createElement(tag), attributes);
    if (text) made.textContent = text;
    return made;
  };

  for (const table of document.querySelectorAll("table.sortable")) {
    const body = table.tBodies[0];
    const sort = (column, down) => body.append(...inOrder([...body.rows].map((row) => [cellKey(row, column), row]), down, page.lang));
    sortButtons([...table.tHead.rows[0].cells], sort, (head) => `${said.sort} ${head.textContent}`);
  }

  for (const figure of document.querySelectorAll("details figure:not([data-start-up])")) {
    const picture = figure.querySelector("svg"), caption = figure.querySelector("figcaption");
    const frame = element("div", { className: "frame", role: "group" }), tools = element("div", { className: "tools" });
    picture.replaceWith(frame);
    frame.append(picture);
    frame.setAttribute("aria-labelledby", picture.getAttribute("aria-labelledby").split(" ")[0]); // it is scrolled by keyboard
    const zoom = element("button", { type: "button" }, said.larger);
    zoom.addEventListener("click", () => {
      const large = figure.classList.toggle("large");
      zoom.textContent = large ? said.smaller : said.larger;
      frame.tabIndex = large ? 0 : -1;
    });
    tools.append(zoom);
    const spoken = [...picture.querySelectorAll("[data-says]")];
    if (spoken.length) {
      const output = element("output", { className: "reading" });
      const next = element("button", { type: "button" }, said.interval);
      let at = -1;
      const tell = (i) => {
        if (at >= 0) spoken[at].classList.remove("told");
        at = i;
        spoken[at].classList.add("told");
        output.textContent = spoken[at].querySelector("title").textContent;
      };
      next.addEventListener("click", () => tell((at + 1) % spoken.length));
      spoken.forEach((item, i) => {
        const line = item.querySelector("path"), reach = line.cloneNode();
        reach.setAttribute("class", "reach"); // a finger is wider than a line
        item.append(reach);
        for (const event of ["pointerenter", "click"]) item.addEventListener(event, () => tell(i));
      });
      tools.append(next, output);
    }
    figure.insertBefore(tools, caption);
  }

  // What a link leads to is opened, with all that it is in.
  const reveal = () => {
    const wanted = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (let at = wanted; at; at = at.parentElement) if (at.localName === "details") at.open = true;
    if (wanted) wanted.scrollIntoView();
  };
  addEventListener("hashchange", reveal);
  reveal();

  const nav = document.querySelector("nav"), folded = document.querySelectorAll("main details");
  const all = element("button", { type: "button" }, said.open);
  let unfolded = false; // its name says what it will do, so it has no pressed state beside it
  const unfold = (open) => {
    folded.forEach((item) => { item.open = open; });
    unfolded = open;
    all.textContent = open ? said.close : said.open;
  };
  all.addEventListener("click", () => unfold(!unfolded));
  if (nav) nav.append(all);
  if (new URLSearchParams(location.search).get("print") === "all") unfold(true);

  const links = new Map([...document.querySelectorAll("nav a")].map((link) => [link.hash.slice(1), link]));
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      for (const link of links.values()) link.removeAttribute("aria-current");
      const link = links.get(entry.target.dataset.place);
      link.setAttribute("aria-current", "true");
      const list = link.closest("ul");
      list.scrollLeft = link.offsetLeft - list.offsetLeft - (list.clientWidth - link.offsetWidth) / 2;
    }
  }, { rootMargin: "-20% 0px -75% 0px" });
  for (const id of links.keys()) {
    const place = document.getElementById(id).closest("section");
    place.dataset.place = id;
    seen.observe(place);
  }
})();
