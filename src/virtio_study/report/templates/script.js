"use strict";
(() => {
  const page = document.documentElement, said = document.body.dataset;
  const element = (tag, attributes, text) => {
    const made = Object.assign(document.createElement(tag), attributes);
    if (text) made.textContent = text;
    return made;
  };
  const key = (row, column) => {
    const cell = row.cells[column], number = cell.querySelector("data");
    return number ? Number(number.value) : cell.textContent.trim();
  };
  const compare = (a, b) => typeof a === "number" && typeof b === "number" ? a - b
    : typeof a === "number" ? -1 : typeof b === "number" ? 1 : a.localeCompare(b, page.lang);

  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
    heads.forEach((head, column) => {
      const button = element("button", { type: "button", className: "sort", title: `${said.sort} ${head.textContent}` });
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const rows = [...body.rows].sort((a, b) => compare(key(a, column), key(b, column)) * (down ? -1 : 1));
        body.append(...rows);
      });
    });
  }

  const ram_words = [said.displayed, said.host, said.guest];
  const decimals = new Intl.NumberFormat(page.lang, { maximumSignificantDigits: 4 });
  const read = (link) => {
    const [names, ...rows] = atob(link.href.split(",")[1]).trim().split("\n").map((line) => line.split(","));
    return rows.map((row) => Object.fromEntries(row.map((text, i) => [names[i], text === "" ? null : Number(text)])));
  };
  const values = (row) => {
    const ram = ["mem_displayed_bytes", "mem_host_bytes", "mem_guest_bytes"].map((name, i) =>
      row[name] === null ? "" : `${ram_words[i]} ${decimals.format(row[name] / 2 ** 20)} MiB`);
    const time = `${decimals.format(row.uptime_s)} s`;
    return [time, `CPU ${decimals.format(row.cpu_cores)}`, ...ram.filter(Boolean)].join(" · ");
  };

  for (const figure of document.querySelectorAll("details figure")) {
    const picture = figure.querySelector("svg"), caption = figure.querySelector("figcaption");
    const frame = element("div", { className: "frame" }), tools = element("div", { className: "tools" });
    picture.replaceWith(frame);
    frame.append(picture);
    const zoom = element("button", { type: "button" }, said.larger);
    zoom.setAttribute("aria-expanded", "false");
    zoom.addEventListener("click", () => {
      const large = figure.classList.toggle("large");
      zoom.textContent = large ? said.smaller : said.larger;
      zoom.setAttribute("aria-expanded", String(large));
      frame.tabIndex = large ? 0 : -1;
    });
    tools.append(zoom);
    if (figure.dataset.span) {
      const [left, right, start, end] = figure.dataset.span.split(" ").map(Number);
      const rows = read(figure.querySelector("a.csv"));
      const slider = element("input", { type: "range", min: 0, max: rows.length - 1, value: 0 });
      slider.setAttribute("aria-label", said.at);
      const output = element("output", { className: "reading" });
      const line = element("div", { className: "at", hidden: true });
      const show = () => {
        const row = rows[slider.value];
        output.textContent = values(row);
        slider.setAttribute("aria-valuetext", output.textContent);
        line.style.left = `${100 * (left + (right - left) * (row.uptime_s - start) / (end - start))}%`;
        line.hidden = false;
      };
      slider.addEventListener("input", show);
      picture.addEventListener("pointermove", (event) => {
        const box = picture.getBoundingClientRect(), share = (event.clientX - box.left) / box.width;
        const time = start + (end - start) * Math.min(1, Math.max(0, (share - left) / (right - left)));
        let nearest = 0;
        rows.forEach((row, i) => {
          if (Math.abs(row.uptime_s - time) < Math.abs(rows[nearest].uptime_s - time)) nearest = i;
        });
        slider.value = nearest;
        show();
      });
      const holder = element("div", { className: "plot" });
      picture.replaceWith(holder);
      holder.append(picture, line);
      tools.append(slider, output);
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
  all.setAttribute("aria-pressed", "false");
  const unfold = (open) => {
    folded.forEach((item) => { item.open = open; });
    all.setAttribute("aria-pressed", String(open));
    all.textContent = open ? said.close : said.open;
  };
  all.addEventListener("click", () => unfold(all.getAttribute("aria-pressed") !== "true"));
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
