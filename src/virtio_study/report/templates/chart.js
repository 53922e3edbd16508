"use strict";
// Time series to zoom, move and read, by pointer, touch and keyboard. The picture stays, for paper and without scripts.
(() => {
  const said = document.body.dataset, lang = document.documentElement.lang;
  const LEFT = 52, RIGHT = 14, TOP = 22, PANEL = 130, GAP = 34, HEIGHT = TOP + 2 * PANEL + GAP + 40;
  const FEWEST = 6, STEP = 1.6, MIB = 2 ** 20;
  const UNITS = [[86400, said.days], [3600, said.hours], [1, said.seconds]];
  const PANELS = [
    { title: said.cpu, unit: "", scale: 1, band: ["cpu_low", "cpu_high"], lines: [["cpu_cores", "CPU"]] },
    { title: said.ram, unit: " MiB", scale: MIB, lines: [["mem_displayed_bytes", said.displayed], ["mem_host_bytes", said.host],
      ["mem_guest_bytes", said.guest]] },
  ];
  const number = new Intl.NumberFormat(lang, { maximumSignificantDigits: 4 });
  const plain = (tag, attributes, text) => {
    const made = Object.assign(document.createElement(tag), attributes);
    if (text) made.textContent = text;
    return made;
  };
  const drawn = (tag, attributes, text) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    if (text) made.textContent = text;
    return made;
  };
  const read = (link) => {
    const text = decodeURIComponent(link.href.slice(link.href.indexOf(",") + 1));
    const [names, ...rows] = text.trim().split("\n").map((line) => line.split(","));
    return rows.map((row) => Object.fromEntries(row.map((one, i) => [names[i], one === "" ? null : Number(one)])));
  };
  const nice = (rough) => {
    const power = 10 ** Math.floor(Math.log10(rough));
    return power * [1, 2, 5, 10].find((times) => times * power >= rough);
  };
  const moment = (seconds, longest) => {
    if (longest < 3 * 3600) return `${number.format(seconds)} s`;
    const days = Math.floor(seconds / 86400), minutes = Math.floor(seconds / 60) % 1440;
    const clock = [Math.floor(minutes / 60), minutes % 60].map((part) => String(part).padStart(2, "0")).join(":");
    return days ? `${days} d ${clock} h` : `${clock} h`;
  };

  const chart = (figure) => {
    const picture = figure.querySelector("svg"), rows = read(figure.querySelector("a.csv"));
    const longest = rows.at(-1).uptime_s, startUp = Number(figure.dataset.startUp);
    const least = Math.min(longest, FEWEST * longest / rows.length);
    let from = 0, to = longest;
    const canvas = drawn("svg", { class: "chart", role: "img", "aria-labelledby": picture.getAttribute("aria-labelledby") });
    const slider = plain("input", { type: "range", min: 0, max: rows.length - 1, value: 0 });
    const reading = plain("output", { className: "reading" }), shown = plain("output", { className: "shown" });
    slider.setAttribute("aria-label", said.at);
    reading.setAttribute("aria-live", "off"); // the slider says the same

    const width = () => canvas.clientWidth;
    const across = (seconds) => LEFT + (seconds - from) / (to - from) * (width() - LEFT - RIGHT);
    const secondsAt = (x) => from + (x - LEFT) / (width() - LEFT - RIGHT) * (to - from);
    const nearest = (seconds) => rows.reduce((best, row, i) =>
      Math.abs(row.uptime_s - seconds) < Math.abs(rows[best].uptime_s - seconds) ? i : best, 0);
    const outline = (visible, name, height) => {
      let path = "", down = false;
      for (const row of visible) {
        if (row[name] === null) down = false;
        else {
          path += `${down ? "L" : "M"}${across(row.uptime_s).toFixed(1)} ${height(row[name]).toFixed(1)}`;
          down = true;
        }
      }
      return path;
    };
    const panel = (parts, place, visible) => {
      const top = TOP + place * (PANEL + GAP), names = parts.lines.map(([name]) => name);
      const values = visible.flatMap((row) => [...names, ...parts.band || []].map((name) => row[name] ?? 0));
      const step = nice(Math.max(...values, 1e-9) / parts.scale / 3), most = step * Math.ceil(Math.max(...values) / parts.scale / step || 1);
      const height = (value) => PANEL - value / parts.scale / most * PANEL;
      const inside = drawn("svg", { x: LEFT, y: top, width: width() - LEFT - RIGHT, height: PANEL });
      const moved = drawn("g", { transform: `translate(${-LEFT} 0)` });
      inside.append(moved);
      if (startUp > from) moved.append(drawn("rect", { class: "startup", x: across(0), y: 0, width: across(startUp) - across(0), height: PANEL }));
      for (let tick = 0; tick <= most * 1.001; tick += step) {
        const y = top + height(tick * parts.scale);
        canvas.append(drawn("line", { class: "grid-line", x1: LEFT, x2: width() - RIGHT, y1: y, y2: y }),
          drawn("text", { x: LEFT - 6, y: y + 4, "text-anchor": "end" }, number.format(tick)));
      }
      if (parts.band) {
        const [low, high] = parts.band, whole = visible.filter((row) => row[low] !== null);
        moved.append(drawn("path", { class: "band", d: outline(whole, high, height) + outline([...whole].reverse(), low, height).replace("M", "L") + "Z" }));
      }
      parts.lines.forEach(([name], i) => moved.append(drawn("path", { class: `line line-${place + i}`, d: outline(visible, name, height) })));
      canvas.append(inside, drawn("text", { x: 2, y: top - 9 }, parts.title));
      return height;
    };
    const axis = () => {
      const [unit, label] = UNITS.find(([size]) => to - from >= 3 * size) || UNITS.at(-1);
      const step = nice((to - from) / unit / Math.max(2, Math.floor((width() - LEFT) / 90))), bottom = TOP + 2 * PANEL + GAP;
      for (let tick = Math.ceil(from / unit / step) * step; tick * unit <= to * 1.0001; tick += step) {
        const x = across(tick * unit);
        canvas.append(drawn("line", { class: "grid-line", x1: x, x2: x, y1: TOP, y2: bottom }),
          drawn("text", { x, y: bottom + 16, "text-anchor": "middle" }, number.format(tick)));
      }
      canvas.append(drawn("text", { x: (LEFT + width() - RIGHT) / 2, y: bottom + 34, "text-anchor": "middle" }, label));
    };
    const tell = () => {
      const row = rows[slider.value], parts = [plain("span", {}, moment(row.uptime_s, longest))];
      PANELS.forEach(({ lines, scale, unit }, place) => lines.forEach(([name, label], i) => {
        if (row[name] === null) return;
        const value = number.format(row[name] / scale);
        parts.push(" · ", plain("span", { className: `key key-${place + i}` }, `${label} ${value}${unit}`));
      }));
      reading.replaceChildren(...parts);
      if (row.uptime_s <= startUp) reading.append(" · ", plain("span", { className: "key key-startup" }, said.startup));
      slider.setAttribute("aria-valuetext", reading.textContent);
    };
    const draw = () => {
      if (!width()) return;
      canvas.replaceChildren();
      canvas.setAttribute("viewBox", `0 0 ${width()} ${HEIGHT}`);
      const first = rows.findIndex((row) => row.uptime_s >= from), last = rows.findLastIndex((row) => row.uptime_s <= to);
      const visible = rows.slice(Math.max(0, first - 1), last + 2), row = rows[slider.value], x = across(row.uptime_s);
      axis();
      PANELS.forEach((parts, place) => {
        const height = panel(parts, place, visible), top = TOP + place * (PANEL + GAP);
        if (x < LEFT || x > width() - RIGHT + 1) return;
        parts.lines.forEach(([name], i) => {
          if (row[name] !== null) canvas.append(drawn("circle", { class: `dot line-${place + i}`, cx: x, cy: top + height(row[name]), r: 4 }));
        });
        canvas.append(drawn("line", { class: "cursor", x1: x, x2: x, y1: top, y2: top + PANEL }));
      });
      tell();
    };
    const view = (start, length) => {
      from = Math.min(Math.max(0, start), longest - length);
      to = from + length;
      shown.textContent = length < longest ? `${said.shown} ${moment(from, longest)} – ${moment(to, longest)}` : "";
      draw();
    };
    const zoom = (times, centre) => {
      const length = Math.min(longest, Math.max(least, (to - from) * times));
      view(centre - (centre - from) * length / (to - from), length);
    };
    const point = (x) => { slider.value = nearest(secondsAt(x)); draw(); };
    const here = () => rows[slider.value].uptime_s;
    const middle = () => here() >= from && here() <= to ? here() : (from + to) / 2;

    slider.addEventListener("input", () => {
      if (here() < from || here() > to) view(here() - (to - from) / 2, to - from);
      else draw();
    });
    slider.addEventListener("keydown", (event) => {
      const act = { "+": () => zoom(1 / STEP, middle()), "-": () => zoom(STEP, middle()), "0": () => view(0, longest) }[event.key];
      if (act) act();
    });
    const down = new Map();
    const place = (event) => event.clientX - canvas.getBoundingClientRect().left;
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      down.set(event.pointerId, place(event));
      if (down.size === 1) point(place(event));
    });
    canvas.addEventListener("pointermove", (event) => {
      const x = place(event), was = down.get(event.pointerId);
      if (was === undefined) return point(x);
      if (down.size === 2) {
        const [other] = [...down].filter(([id]) => id !== event.pointerId).map(([, at]) => at);
        const apart = Math.max(10, Math.abs(x - other)), before = Math.max(10, Math.abs(was - other));
        zoom(before / apart, secondsAt((x + other) / 2));
      } else if (to - from < longest) view(from - (x - was) / (width() - LEFT - RIGHT) * (to - from), to - from);
      else point(x);
      down.set(event.pointerId, x);
    });
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, (event) => down.delete(event.pointerId));
    canvas.addEventListener("dblclick", (event) => zoom(event.shiftKey ? STEP : 1 / STEP, secondsAt(place(event))));
    canvas.addEventListener("wheel", (event) => {
      const aside = Math.abs(event.deltaX) > Math.abs(event.deltaY) && to - from < longest;
      if (!event.ctrlKey && !event.metaKey && !aside) return; // the page scrolls
      event.preventDefault();
      if (aside) view(from + event.deltaX / width() * (to - from), to - from);
      else zoom(event.deltaY > 0 ? STEP : 1 / STEP, secondsAt(place(event)));
    }, { passive: false });

    const button = (text, label, act) => {
      const made = plain("button", { type: "button", title: label }, text);
      made.setAttribute("aria-label", label);
      made.addEventListener("click", act);
      return made;
    };
    const tools = plain("div", { className: "tools" });
    tools.append(reading, slider, button("+", said.nearer, () => zoom(1 / STEP, middle())),
      button("−", said.farther, () => zoom(STEP, middle())), button(said.whole, said.whole, () => view(0, longest)), shown);
    picture.classList.add("still");
    picture.before(canvas);
    picture.after(tools);
    new ResizeObserver(draw).observe(canvas);
  };
  document.querySelectorAll("figure[data-start-up]").forEach(chart);
})();
