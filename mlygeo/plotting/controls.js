"use strict";
// What stands round the map: legend, colours, time, what is under the pointer, what was picked, the table of layers.
window.mlygeo.controls = () => {
  const { state, meta, box, canvas, show, said, redraw, place, pixelsPerUnit, across, WORLD, ALL_TIMES } = window.mlygeo;
  const panel = document.getElementById("panel");
  const status = document.getElementById("status");
  const shown = [...meta.layers].reverse().filter((layer) => layer.rows);
  const count = (number) => number.toLocaleString("en");
  state.say = (words) => { status.textContent = words; };

  function make(name, into, words, more = {}) {
    const made = document.createElement(name);
    if (words !== undefined) made.textContent = words; // never as HTML: names come from anyone
    for (const [key, value] of Object.entries(more)) made.setAttribute(key, value);
    into?.append(made);
    return made;
  }

  // ---- legend, and the choice of colours -----------------------------------------------------------------
  const small = window.matchMedia("(max-width: 600px), (max-height: 420px)");
  const fold = () => { panel.open = !small.matches; }; // on a phone it would hide the map
  small.addEventListener("change", fold);
  fold();
  if (meta.title) make("h1", panel, meta.title);
  const ways = meta.ways.filter((way) => way.by !== "" || meta.ways.length > 1);
  if (ways.length > 1) {
    const line = make("p", panel, undefined, { class: "line" });
    make("label", line, "Colour by ", { for: "by" });
    const by = make("select", line, undefined, { id: "by" });
    for (const way of ways) make("option", by, way.title, { value: way.by });
    by.addEventListener("change", () => {
      for (const layer of meta.layers) {
        window.mlygeo.colourBy(layer, layer.paints.find((paint) => paint.by === by.value) ?? layer.paints[0]);
      }
      legend();
      redraw();
    });
  }
  const keys = make("div", panel);

  function key(layer, colour) {
    const made = make("span", null, undefined, { class: layer.shape === "points" ? "key" : layer.fill ? "key area" : "key line", "aria-hidden": "true" });
    made.style.background = colour;
    return made;
  }

  function cone() {
    const picture = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    for (const [name, value] of [["viewBox", "0 0 24 24"], ["width", "18"], ["height", "18"], ["aria-hidden", "true"], ["class", "cone"]]) picture.setAttribute(name, value);
    for (const [looks, kind] of [["M12 17 L6 2 A16 16 0 0 1 18 2 Z", "wedge"], ["M12 13 a4.5 4.5 0 1 0 .01 0 Z", "dot"]]) {
      const shape = document.createElementNS("http://www.w3.org/2000/svg", "path");
      shape.setAttribute("d", looks);
      shape.setAttribute("class", kind);
      picture.append(shape);
    }
    return picture;
  }

  function legend() {
    keys.replaceChildren();
    for (const layer of shown) {
      const group = make("div", keys, undefined, { class: "layer" });
      const label = make("label", group);
      const tick = make("input", label, undefined, { type: "checkbox" });
      tick.checked = layer.visible;
      tick.addEventListener("change", () => { layer.visible = tick.checked; show(null); redraw(); });
      label.append(" ");
      if (!layer.paint.labels) label.append(key(layer, layer.paint.colours[0]));
      const all = count(layer.all ?? layer.rows), drawn = count(layer.rows);
      label.append(`${layer.name} (${drawn === all ? "" : `${drawn} of `}${all})`);
      for (const words of layer.notes || []) make("p", group, words);
      if (layer.paint.labels) {
        if (layer.paint.title) make("p", group, layer.paint.title, { class: "by" });
        const list = make("ul", group);
        layer.paint.labels.forEach((words, i) => {
          const item = make("li", list);
          item.append(key(layer, layer.paint.colours[i]), words);
        });
      }
      if (layer.look) {
        const looks = make("p", group, undefined, { class: "looks" });
        looks.append(cone(), `where the camera looks (zoom in${layer.pano ? "; not of panoramas" : ""})`);
      }
    }
  }
  legend();

  // ---- time ----------------------------------------------------------------------------------------------
  const timed = meta.layers.filter((layer) => layer.when);
  let first = Infinity, last = 0;
  for (const layer of timed) {
    for (const time of layer.when) {
      if (time && time < first) first = time;
      if (time > last) last = time;
    }
  }
  if (last > first) {
    // A thousand steps at most, of a round length.
    const UNITS = [1, 10, 60, 600, 3600, 21600, 86400, 7 * 86400, 30 * 86400, 365 * 86400];
    const unit = UNITS.find((one) => (last - first) / one <= 4000) ?? UNITS.at(-1);
    const steps = Math.ceil((last - first) / unit);
    const words = (time) => new Date(time * 1000).toISOString().replace("T", " ").slice(0, unit >= 86400 ? 10 : unit >= 60 ? 16 : 19);
    const group = make("fieldset", panel, undefined, { id: "time" });
    make("legend", group, "Taken (UTC)");
    const rail = make("div", group, undefined, { class: "rail" });
    const band = make("div", rail, undefined, { class: "band", "aria-hidden": "true" });
    const ends = [["from", 0, "Taken from"], ["to", steps, "Taken until"]].map(([id, value, label]) =>
      make("input", rail, undefined, { type: "range", id, min: 0, max: steps, step: 1, value, "aria-label": label }));
    const told = make("p", group, undefined, { id: "span" });
    let asked = 0;
    const change = (moved) => {
      let [from, to] = ends.map((end) => Number(end.value));
      if (from > to) { // neither goes past the other
        if (moved === 0) { ends[0].value = to; from = to; } else { ends[1].value = from; to = from; }
      }
      const whole = from === 0 && to === steps;
      const low = Math.min(first + from * unit, last), high = to === steps ? last : first + (to + 1) * unit - 1;
      state.span = whole ? ALL_TIMES : [low, Math.max(low, high)];
      ends[0].setAttribute("aria-valuetext", words(low));
      ends[1].setAttribute("aria-valuetext", words(Math.min(high, last)));
      // Of two thumbs at one place, the one that can still be moved lies on top.
      ends[0].style.zIndex = from > steps / 2 ? 2 : 1;
      band.style.left = `${(100 * from) / steps}%`;
      band.style.right = `${100 - (100 * to) / steps}%`;
      clearTimeout(asked);
      asked = setTimeout(() => {
        let inside = 0, all = 0, unknown = 0;
        for (const layer of timed) {
          all += layer.when.length;
          for (const time of layer.when) {
            if (time === 0) unknown++;
            if (time >= state.span[0] && time <= state.span[1]) inside++;
          }
        }
        told.textContent = `${words(low)} to ${words(Math.min(high, last))}: ${count(inside)} of ${count(all)} shown`
          + (unknown ? `; ${count(unknown)} of unknown time ${whole ? "too" : "are hidden"}` : "");
        if (moved !== undefined) state.say(told.textContent);
      }, moved === undefined ? 0 : 120);
      redraw(true);
    };
    ends.forEach((end, i) => end.addEventListener("input", () => { show(null); change(i); }));
    change();
  }

  // ---- what was picked -----------------------------------------------------------------------------------
  const picked = new Map(); // layer -> rows
  const bar = make("div", panel, undefined, { id: "picked" });
  const total = make("p", bar, "");
  const copy = make("button", bar, "Copy ids", { type: "button" });
  const clear = make("button", bar, "Clear", { type: "button" });
  const identified = (layer) => layer.columns.find((field) => field.title === "id") ?? layer.columns.find((field) => / id$/.test(field.title));

  function report(tell = true) {
    const number = [...picked.values()].reduce((sum, rows) => sum + rows.size, 0);
    total.textContent = `${count(number)} picked`;
    bar.hidden = number === 0;
    const places = [];
    for (const [layer, rows] of picked) if (layer.xy) for (const row of rows) places.push(layer.xy[2 * row], layer.xy[2 * row + 1]);
    window.mlygeo.showPicked(new Uint32Array(places));
    if (!tell) return;
    const rows = [...picked].filter(([, chosen]) => chosen.size).map(([layer, chosen]) => [meta.layers.indexOf(layer), [...chosen]]);
    document.documentElement.dataset.picked = String(number);
    if (window.parent !== window) window.parent.postMessage({ mlygeo: "picked", rows }, "*");
  }

  state.onPick = (hit, add) => {
    if (!add) picked.clear();
    if (hit && hit.layer.columns.length) {
      const rows = picked.get(hit.layer) ?? new Set();
      if (add && rows.has(hit.row)) rows.delete(hit.row); else rows.add(hit.row);
      picked.set(hit.layer, rows);
    }
    report();
  };

  const frame = document.getElementById("frame");
  state.onBox = (corners, done) => {
    frame.hidden = done || !corners;
    if (!corners) return;
    const [[ax, ay], [bx, by]] = corners;
    const [left, right, top, bottom] = [Math.min(ax, bx), Math.max(ax, bx), Math.min(ay, by), Math.max(ay, by)];
    Object.assign(frame.style, { left: `${left}px`, top: `${top}px`, width: `${right - left}px`, height: `${bottom - top}px` });
    if (!done) return;
    const unit = pixelsPerUnit();
    const x = state.x + ((left + right) / 2 - box.clientWidth / 2) / unit, wide = (right - left) / 2 / unit;
    const y = state.y + ((top + bottom) / 2 - box.clientHeight / 2) / unit, high = (bottom - top) / 2 / unit;
    const inside = (xy, i) => Math.abs(xy[i + 1] - y) <= high && Math.abs(across(xy[i], x)) <= wide;
    const visible = meta.layers.filter((layer) => layer.visible && layer.columns.length);
    const points = visible.filter((layer) => layer.xy);
    picked.clear();
    for (const layer of points.length ? points : visible) { // lines only where there are no points
      const rows = new Set();
      if (layer.xy) {
        for (let row = 0; row < layer.rows; row++) if (inside(layer.xy, 2 * row) && window.mlygeo.inTime(layer, row)) rows.add(row);
      } else {
        layer.owner.forEach((row, i) => {
          if ((inside(layer.ends, 4 * i) || inside(layer.ends, 4 * i + 2)) && window.mlygeo.inTime(layer, row)) rows.add(row);
        });
      }
      if (rows.size) picked.set(layer, rows);
    }
    report();
    state.say(total.textContent);
  };
  const mode = document.getElementById("choose");
  mode.addEventListener("click", () => {
    state.choosing = !state.choosing;
    mode.setAttribute("aria-pressed", String(state.choosing));
    box.classList.toggle("choosing", state.choosing);
  });
  clear.addEventListener("click", () => { picked.clear(); report(); box.focus(); });
  copy.addEventListener("click", async () => {
    const ids = [...picked].flatMap(([layer, rows]) => {
      const field = identified(layer);
      return field ? [...rows].map((row) => window.mlygeo.text(field, row)).filter((id) => id !== null) : [];
    });
    const area = make("textarea", bar, ids.join("\n"), { "aria-label": "Ids that were picked", readonly: "" });
    area.select();
    let done = false;
    try { await navigator.clipboard.writeText(area.value); done = true; } catch { done = document.execCommand?.("copy"); }
    if (done) area.remove();
    state.say(done ? `${count(ids.length)} ids copied` : "the ids are in the text field, to be copied by hand");
    if (done) total.textContent = `${count(ids.length)} ids copied`;
  });
  report(false);

  // ---- what is under the pointer -------------------------------------------------------------------------
  const hover = document.getElementById("hover");
  let waiting = 0;
  const leave = () => { clearTimeout(waiting); hover.hidden = true; };
  canvas.addEventListener("pointermove", (event) => {
    clearTimeout(waiting);
    if (event.pointerType !== "mouse" || event.buttons) { leave(); return; }
    const at = place(event);
    waiting = setTimeout(() => {
      const hit = window.mlygeo.pick(...at);
      box.style.cursor = hit ? "pointer" : "";
      hover.hidden = !hit;
      if (!hit) return;
      hover.replaceChildren();
      const address = said(hit.layer, hit.row, "thumbnail");
      if (address) {
        const picture = make("img", hover, undefined, { alt: "" });
        picture.addEventListener("error", () => picture.remove());
        picture.addEventListener("load", stand);
        picture.src = address;
      }
      const words = ["id", "name", "when"].map((name) => said(hit.layer, hit.row, name)).filter(Boolean);
      make("div", hover, words.slice(0, 2).join(", ") || hit.layer.name);
      function stand() {
        const [right] = window.mlygeo.free(hover.offsetWidth);
        hover.style.left = `${Math.max(4, Math.min(at[0] + 14, right - hover.offsetWidth - 4))}px`;
        const above = at[1] - hover.offsetHeight - 10;
        hover.style.top = `${above > 4 ? above : at[1] + 18}px`;
      }
      stand();
    }, 60);
  });
  for (const name of ["pointerleave", "pointerdown", "wheel"]) canvas.addEventListener(name, leave, { passive: true });

  // ---- the layers as a table, for readers of screens and for all ------------------------------------------
  const details = make("details", panel, undefined, { id: "layers" });
  make("summary", details, "Layers as a table");
  const table = make("table", details);
  make("caption", table, `${meta.title ? `${meta.title}: ` : ""}what the map shows`);
  for (const layer of shown) {
    const body = make("tbody", table);
    make("th", make("tr", body), layer.name, { scope: "rowgroup", colspan: "2" });
    const values = {
      Rows: count(layer.all ?? layer.rows), Drawn: count(layer.rows), "Taken from": layer.taken?.[0], "Taken until": layer.taken?.[1],
      West: layer.extent?.[0], South: layer.extent?.[1], East: layer.extent?.[2], North: layer.extent?.[3],
    };
    for (const [name, value] of Object.entries(values)) {
      if (value === undefined) continue;
      const line = make("tr", body);
      make("th", line, name, { scope: "row" });
      make("td", line, value);
    }
  }

  // Where the map is, once it rests after a key or a button.
  let resting = 0;
  const told = () => {
    clearTimeout(resting);
    resting = setTimeout(() => {
      const lon = (state.x / WORLD) * 360 - 180, lat = window.mlygeo.latitude(state.y);
      state.say(`zoom ${state.zoom.toFixed(0)}, centre ${Math.abs(lat).toFixed(3)}° ${lat < 0 ? "south" : "north"}, ${Math.abs(lon).toFixed(3)}° ${lon < 0 ? "west" : "east"}`);
    }, 700);
  };
  box.addEventListener("keydown", (event) => { if (/^(Arrow|\+|-|Home)/.test(event.key)) told(); });
  for (const id of ["in", "out", "all"]) document.getElementById(id).addEventListener("click", told);
};
