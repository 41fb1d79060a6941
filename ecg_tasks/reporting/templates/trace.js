"use strict";
// Layouts and zoom of a trace work without this. It adds names of leads that stay in sight, and calipers.
addEventListener("DOMContentLoaded", () => document.querySelectorAll(".traces").forEach((figure) => {
  const SVG = "http://www.w3.org/2000/svg";
  const scroll = figure.querySelector(".scroll"), sheet = figure.querySelector(".sheet");
  const tools = figure.querySelector(".caliper-tools"), button = tools.querySelector("button"), output = tools.querySelector("output");
  const shown = () => Array.from(sheet.querySelectorAll(".ecg")).find((one) => getComputedStyle(one).display !== "none");

  // Each name stays at the left edge of what is in sight, as long as a part of its lead is.
  const names = Array.from(sheet.querySelectorAll("[data-until]"), (text) => ({ text, from: Number(text.getAttribute("x")), until: Number(text.dataset.until) }));
  function follow() {
    const drawing = shown(), left = scroll.scrollLeft * drawing.viewBox.baseVal.width / drawing.clientWidth;
    for (const { text, from, until } of names) {
      if (!drawing.contains(text)) continue;
      text.setAttribute("x", Math.max(from, Math.min(left + 12, until - text.getComputedTextLength() - 12)));
    }
  }
  let waiting = false;
  scroll.addEventListener("scroll", () => {
    if (!waiting) requestAnimationFrame(() => { waiting = false; follow(); });
    waiting = true;
  }, { passive: true });
  addEventListener("resize", follow);
  addEventListener("beforeprint", () => names.forEach(({ text, from }) => text.setAttribute("x", from)));
  addEventListener("afterprint", follow);

  // Calipers: two points, in units of the drawing. A script's drawing may hold no names or values of a file, so all of it is made of numbers.
  let calipers = null;
  const make = (name, attributes, parent) => {
    const element = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    parent.append(element);
    return element;
  };
  const signed = (value, digits) => (value < 0 ? "−" : "+") + Math.abs(value).toFixed(digits);

  function start() {
    const drawing = shown(), data = drawing.dataset, [left, top, right, bottom] = data.box.split(" ").map(Number);
    const perS = Number(data.perS), perLevel = Number(data.perLevel), fromS = Number(data.fromS), unit = data.unit;
    const stops = (data.stops || `${left} ${right}`).split(" ").map(Number);
    const svg = make("svg", { class: "calipers", viewBox: drawing.getAttribute("viewBox"), role: "group", "aria-label": "Calipers" }, sheet);
    const span = make("rect", { class: "span" }, svg), ends = make("path", { class: "ends" }, svg), label = make("text", { "aria-hidden": "true" }, svg);
    const middle = (scroll.scrollLeft + scroll.clientWidth / 2) * drawing.viewBox.baseVal.width / drawing.clientWidth;
    const points = [{ x: middle - perS / 10, y: (top + bottom) / 2 }, { x: middle + perS / 10, y: (top + bottom) / 2 - perLevel / 2 }];
    const handles = points.map((_, index) => {
      const handle = make("g", { tabindex: "0", role: "slider", "aria-label": index ? "Second point" : "First point" }, svg);
      make("circle", { class: "reach" }, handle);
      make("circle", { class: "handle" }, handle);
      return handle;
    });
    const column = (x) => {
      const index = stops.findLastIndex((stop) => stop <= x);
      return Math.min(Math.max(index, 0), stops.length - 2);
    };
    // The second point stays in the first one's column: time does not run on into another one where a drawing has stops.
    function put(index, x, y) {
      const at = data.stops && index ? column(points[0].x) : -1;
      const [low, high] = at < 0 ? [left, right] : [stops[at], stops[at + 1]];
      points[index] = { x: Math.min(Math.max(x, low), high), y: Math.min(Math.max(y, top), bottom) };
      if (data.stops && !index && column(points[1].x) !== column(points[0].x)) put(1, points[1].x, points[1].y);
      draw();
    }
    function draw() {
      const [a, b] = points, ms = Math.round(Math.abs(b.x - a.x) / perS * 1000), level = (a.y - b.y) / perLevel;
      const said = [`${ms} ms`, ms ? `${Math.round(60000 / ms)} 1/min` : "– 1/min", `${signed(level, 2)} ${unit}`].join(", ");
      const x = Math.min(a.x, b.x), y = Math.min(a.y, b.y);
      for (const [key, value] of Object.entries({ x, y, width: Math.abs(b.x - a.x), height: Math.abs(b.y - a.y) })) span.setAttribute(key, value);
      ends.setAttribute("d", `M${a.x} ${top}V${bottom}M${b.x} ${top}V${bottom}`);
      points.forEach((point, index) => {
        handles[index].setAttribute("transform", `translate(${point.x} ${point.y})`);
        const seconds = fromS + (point.x - (data.stops ? stops[column(point.x)] : left)) / perS;
        const values = { min: fromS, max: fromS + (right - left) / perS, now: seconds.toFixed(3), text: `${seconds.toFixed(3)} s; ${said}` };
        for (const [key, value] of Object.entries(values)) handles[index].setAttribute(`aria-value${key}`, value);
      });
      output.textContent = label.textContent = said;
      label.setAttribute("x", Math.max(left, Math.min(x, right - label.getComputedTextLength())));
      label.setAttribute("y", Math.max(y - 24, top + 80));
    }
    const place = (event) => {
      const box = svg.getBoundingClientRect(), view = svg.viewBox.baseVal;
      return [(event.clientX - box.left) * view.width / box.width, (event.clientY - box.top) * view.height / box.height];
    };
    let dragged = -1;
    svg.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      event.preventDefault();
      dragged = handles.findIndex((handle) => handle.contains(event.target));
      if (dragged < 0) {
        const [x, y] = place(event);
        points[1] = { x, y };
        put(0, x, y);
        put(1, x, y);
        dragged = 1;
      }
      svg.setPointerCapture(event.pointerId);
      handles[dragged].focus({ preventScroll: true });
    });
    svg.addEventListener("pointermove", (event) => { if (dragged >= 0) put(dragged, ...place(event)); });
    for (const end of ["pointerup", "pointercancel"]) svg.addEventListener(end, () => { dragged = -1; });
    svg.addEventListener("keydown", (event) => {
      const index = handles.indexOf(event.target);
      if (index < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
      const far = event.shiftKey ? 10 : 1, dx = far * perS * 0.004, dy = far * perLevel * 0.01;
      const moves = { ArrowLeft: [-dx, 0], ArrowRight: [dx, 0], ArrowUp: [0, -dy], ArrowDown: [0, dy] };
      if (event.key === "Escape") {
        toggle(false);
        button.focus();
      } else if (moves[event.key]) {
        put(index, points[index].x + moves[event.key][0], points[index].y + moves[event.key][1]);
        handles[index].querySelector(".handle").scrollIntoView({ block: "nearest", inline: "nearest" });
      } else return;
      event.preventDefault();
      event.stopPropagation();
    });
    calipers = svg;
    put(0, points[0].x, points[0].y);
    put(1, points[1].x, points[1].y);
    handles[1].focus({ preventScroll: true });
  }

  function toggle(on) {
    button.setAttribute("aria-pressed", String(on));
    if (calipers) calipers.remove();
    calipers = null;
    output.textContent = "";
    if (on) start();
  }

  tools.hidden = false;
  button.addEventListener("click", () => toggle(!calipers));
  figure.addEventListener("change", (event) => {
    if (calipers && event.target.name.endsWith("layout")) toggle(false);
    follow();
  });
  follow();
}));
