"use strict";
// Positions are whole numbers: the Web Mercator world is 2^32 wide and high, so a unit is a centimetre at
// most. The shaders subtract the centre of the view as whole numbers, which is exact at any zoom, and
// wraps round at the antimeridian.
(() => {
  const WORLD = 2 ** 32;
  const EARTH_M = 40075016.686;
  const FEW = 50000; // points that are drawn while the map moves, where all are too many
  const meta = JSON.parse(document.getElementById("meta").textContent);
  const box = document.getElementById("map");
  const canvas = document.createElement("canvas");
  box.append(canvas);
  const state = { x: 0, y: 0, zoom: 1, ready: false, slow: false, loaded: false, rest: 150 };

  // ---- data: zlib'ed columns, each as planes of bytes, some as differences --------------------------------
  async function unpack(text) {
    let bytes;
    if (Uint8Array.fromBase64) {
      bytes = Uint8Array.fromBase64(text);
    } else {
      const letters = atob(text);
      bytes = new Uint8Array(letters.length);
      for (let i = 0; i < letters.length; i++) bytes[i] = letters.charCodeAt(i);
    }
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }

  const TYPES = { u1: Uint8Array, u2: Uint16Array, u4: Uint32Array, i4: Int32Array, f4: Float32Array, f8: Float64Array, i8: BigInt64Array };

  function column(all, [at, count, type, delta]) {
    const size = TYPES[type].BYTES_PER_ELEMENT;
    const mixed = new Uint8Array(count * size);
    for (let byte = 0; byte < size; byte++) {
      const plane = all.subarray(at + byte * count, at + (byte + 1) * count);
      for (let i = 0, to = byte; i < count; i++, to += size) mixed[to] = plane[i];
    }
    const values = new TYPES[type](mixed.buffer);
    if (delta) for (let i = 1; i < count; i++) values[i] += values[i - 1]; // wraps, as it should
    return values;
  }

  // Neighbours follow each other in the data, so that runs of points outside the view can be left out.
  const RUN = 4096;
  function boxes(xy) {
    const found = new Float64Array(4 * Math.ceil(xy.length / 2 / RUN));
    for (let run = 0; run < found.length / 4; run++) {
      let west = WORLD, north = WORLD, east = 0, south = 0;
      for (let i = run * RUN * 2; i < Math.min(xy.length, (run + 1) * RUN * 2); i += 2) {
        west = Math.min(west, xy[i]); east = Math.max(east, xy[i]);
        north = Math.min(north, xy[i + 1]); south = Math.max(south, xy[i + 1]);
      }
      found.set([west, north, east, south], 4 * run);
    }
    return found;
  }

  function load(all) {
    for (const layer of meta.layers) {
      const x = column(all, layer.x);
      const y = column(all, layer.y);
      layer.classes = layer.index ? column(all, layer.index) : null;
      layer.visible = true;
      if (layer.shape === "points") {
        layer.xy = new Uint32Array(2 * x.length);
        for (let i = 0; i < x.length; i++) { layer.xy[2 * i] = x[i]; layer.xy[2 * i + 1] = y[i]; }
        layer.boxes = boxes(layer.xy);
        layer.look = layer.heading ? column(all, layer.heading) : null;
        layer.pano = layer.panoramas ? column(all, layer.panoramas) : null;
      } else {
        const counts = column(all, layer.counts);
        const owners = column(all, layer.owners);
        const segments = x.length - counts.length;
        layer.ends = new Uint32Array(4 * segments);
        layer.owner = new Uint32Array(segments);
        let from = 0, to = 0;
        for (let line = 0; line < counts.length; line++) {
          for (let i = 1; i < counts[line]; i++, to++) {
            layer.ends.set([x[from], y[from], x[from + 1], y[from + 1]], 4 * to);
            layer.owner[to] = owners[line];
            from++;
          }
          from++;
        }
      }
      for (const field of layer.columns) field.values = column(all, field.at);
    }
  }

  // ---- drawing -------------------------------------------------------------------------------------------
  const HEAD = `#version 300 es
    precision highp float; precision highp int;
    uniform uvec2 centre; uniform vec2 rest; uniform float unit; uniform vec2 half_size;
    uniform vec4 palette[16];
    vec2 pixels(uvec2 place) { uvec2 d = place - centre; return (vec2(ivec2(d)) - rest) * unit; }
    vec4 clip(vec2 p) { return vec4(p.x / half_size.x, -p.y / half_size.y, 0.0, 1.0); }`;
  const POINTS = [`${HEAD}
    in uvec2 place; in uint kind; in uint heading; in uint pano;
    uniform float radius; uniform bool arrows;
    out vec4 colour; out float look; out float size; flat out uint ring;
    void main() {
      colour = palette[kind]; ring = pano;
      look = arrows && heading != 65535u && pano == 0u ? float(heading) * 6.28318531 / 65534.0 : -1.0;
      size = look >= 0.0 ? radius * 6.0 : radius * 2.0 + 2.0;
      gl_PointSize = size; gl_Position = clip(pixels(place));
    }`, `#version 300 es
    precision highp float; precision highp int;
    in vec4 colour; in float look; in float size; flat in uint ring; uniform float radius;
    out vec4 shown;
    void main() {
      vec2 q = (gl_PointCoord - 0.5) * size; float r = length(q);
      if (r <= radius) {
        // Rims and rings of small dots that overlap would hide the colours.
        bool white = radius > 5.0 && (r > radius - 1.0 || (ring == 1u && r < radius * 0.45));
        shown = white ? vec4(1.0) : colour;
        return;
      }
      if (look >= 0.0 && r <= size * 0.5) {
        vec2 d = vec2(sin(look), -cos(look));
        if (dot(q / r, d) > 0.91) { shown = vec4(colour.rgb * 0.35, 0.55); return; }
      }
      discard;
    }`];
  const LINES = [`${HEAD}
    in vec2 corner; in uvec2 from; in uvec2 to; in uint kind; uniform float width;
    out vec4 colour;
    void main() {
      colour = palette[kind];
      uvec2 run = to - from; vec2 a = pixels(from), d = vec2(ivec2(run)) * unit, b = a + d; float l = length(d);
      d = l > 0.0 ? d / l : vec2(1.0, 0.0);
      vec2 side = vec2(-d.y, d.x) * corner.y * width * 0.5;
      gl_Position = clip(mix(a, b, corner.x) + side + d * (corner.x - 0.5) * width * 0.6);
    }`, `#version 300 es
    precision highp float;
    in vec4 colour; out vec4 shown; void main() { shown = colour; }`];

  let gl, pointProgram, lineProgram;

  function program([vertex, fragment]) {
    const made = gl.createProgram();
    for (const [type, text] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
      const shader = gl.createShader(type);
      gl.shaderSource(shader, text);
      gl.compileShader(shader);
      if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw new Error(gl.getShaderInfoLog(shader));
      gl.attachShader(made, shader);
    }
    gl.linkProgram(made);
    if (!gl.getProgramParameter(made, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(made));
    return { made, uniform: (name) => gl.getUniformLocation(made, name), input: (name) => gl.getAttribLocation(made, name) };
  }

  function whole(used, name, data, size, type, stride, offset, divisor) {
    const at = used.input(name);
    if (at < 0) return;
    if (!data) { gl.disableVertexAttribArray(at); gl.vertexAttribI4ui(at, name === "heading" ? 65535 : 0, 0, 0, 0); return; }
    gl.bindBuffer(gl.ARRAY_BUFFER, data);
    gl.enableVertexAttribArray(at);
    gl.vertexAttribIPointer(at, size, type, stride, offset);
    gl.vertexAttribDivisor(at, divisor);
  }

  function buffer(values) {
    if (!values) return null;
    const made = gl.createBuffer();
    gl.bindBuffer(gl.ARRAY_BUFFER, made);
    gl.bufferData(gl.ARRAY_BUFFER, values, gl.STATIC_DRAW);
    return made;
  }

  function prepare() {
    gl = canvas.getContext("webgl2", { alpha: true, antialias: true, premultipliedAlpha: true });
    if (!gl) throw new Error("this browser has no WebGL 2, which the map needs");
    pointProgram = program(POINTS);
    lineProgram = program(LINES);
    const corners = buffer(new Float32Array([0, -1, 0, 1, 1, -1, 1, 1]));
    for (const layer of meta.layers) {
      layer.array = gl.createVertexArray();
      gl.bindVertexArray(layer.array);
      if (layer.shape === "points") {
        const parts = [buffer(layer.xy), buffer(layer.classes), buffer(layer.look), buffer(layer.pano)];
        // The same buffers, of which only every so many-th point is read: for while the map moves.
        layer.every = Math.min(31, Math.ceil(layer.xy.length / 2 / FEW));
        layer.thin = gl.createVertexArray();
        for (const [array, step] of [[layer.thin, layer.every], [layer.array, 1]]) {
          gl.bindVertexArray(array);
          whole(pointProgram, "place", parts[0], 2, gl.UNSIGNED_INT, 8 * step, 0, 0);
          whole(pointProgram, "kind", parts[1], 1, gl.UNSIGNED_BYTE, step, 0, 0);
          whole(pointProgram, "heading", parts[2], 1, gl.UNSIGNED_SHORT, 2 * step, 0, 0);
          whole(pointProgram, "pano", parts[3], 1, gl.UNSIGNED_BYTE, step, 0, 0);
        }
      } else {
        const ends = buffer(layer.ends);
        let kinds = null;
        if (layer.classes) {
          kinds = new Uint8Array(layer.owner.length);
          for (let i = 0; i < kinds.length; i++) kinds[i] = layer.classes[layer.owner[i]];
        }
        whole(lineProgram, "from", ends, 2, gl.UNSIGNED_INT, 16, 0, 1);
        whole(lineProgram, "to", ends, 2, gl.UNSIGNED_INT, 16, 8, 1);
        whole(lineProgram, "kind", buffer(kinds), 1, gl.UNSIGNED_BYTE, 1, 0, 1);
        const corner = lineProgram.input("corner");
        gl.bindBuffer(gl.ARRAY_BUFFER, corners);
        gl.enableVertexAttribArray(corner);
        gl.vertexAttribPointer(corner, 2, gl.FLOAT, false, 0, 0);
      }
    }
    gl.bindVertexArray(null);
  }

  const rgb = (text) => [1, 3, 5].map((i) => parseInt(text.slice(i, i + 2), 16) / 255).concat(1);
  const pixelsPerUnit = () => (256 * 2 ** state.zoom) / WORLD;
  const radiusOf = (layer) => Math.min(8, Math.max(1.5, layer.radius + (state.zoom - 15) * 0.9));

  function drawRuns(layer) {
    const unit = pixelsPerUnit(), margin = 60 / unit;
    const wide = box.clientWidth / 2 / unit + margin, high = box.clientHeight / 2 / unit + margin;
    const count = layer.xy.length / 2;
    let from = -1;
    for (let run = 0; run <= layer.boxes.length / 4; run++) {
      const [west, north, east, south] = layer.boxes.subarray(4 * run, 4 * run + 4);
      let seen = run < layer.boxes.length / 4 && south >= state.y - high && north <= state.y + high;
      seen = seen && [-WORLD, 0, WORLD].some((turn) => east + turn >= state.x - wide && west + turn <= state.x + wide);
      if (seen && from < 0) from = run * RUN;
      if (!seen && from >= 0) { gl.drawArrays(gl.POINTS, from, Math.min(count, run * RUN) - from); from = -1; }
    }
  }

  function draw(thin) {
    const started = performance.now();
    const ratio = window.devicePixelRatio || 1;
    const wide = Math.round(box.clientWidth * ratio), high = Math.round(box.clientHeight * ratio);
    if (canvas.width !== wide || canvas.height !== high) { canvas.width = wide; canvas.height = high; }
    gl.viewport(0, 0, wide, high);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    const x = Math.floor(state.x), y = Math.floor(state.y);
    for (const layer of meta.layers) {
      if (!layer.visible) continue;
      const used = layer.shape === "points" ? pointProgram : lineProgram;
      gl.useProgram(used.made);
      gl.bindVertexArray(layer.array);
      // Generic values belong to the context, not to the layer, so they are set anew.
      if (!layer.classes) gl.vertexAttribI4ui(used.input("kind"), 0, 0, 0, 0);
      gl.uniform2ui(used.uniform("centre"), x >>> 0, y >>> 0);
      gl.uniform2f(used.uniform("rest"), state.x - x, state.y - y);
      gl.uniform1f(used.uniform("unit"), pixelsPerUnit() * ratio);
      gl.uniform2f(used.uniform("half_size"), wide / 2, high / 2);
      gl.uniform4fv(used.uniform("palette"), layer.colours.flatMap(rgb));
      if (layer.shape === "points") {
        if (!layer.look) gl.vertexAttribI4ui(used.input("heading"), 65535, 0, 0, 0);
        if (!layer.pano) gl.vertexAttribI4ui(used.input("pano"), 0, 0, 0, 0);
        gl.uniform1f(used.uniform("radius"), radiusOf(layer) * ratio);
        gl.uniform1i(used.uniform("arrows"), state.zoom >= 16.5 ? 1 : 0);
        if (thin && layer.every > 1) {
          gl.bindVertexArray(layer.thin);
          gl.drawArrays(gl.POINTS, 0, Math.floor((layer.xy.length / 2 - 1) / layer.every) + 1);
        } else {
          drawRuns(layer);
        }
      } else {
        gl.uniform1f(used.uniform("width"), layer.width * ratio * Math.min(1.6, Math.max(0.6, (state.zoom - 8) / 7)));
        gl.drawArraysInstanced(gl.TRIANGLE_STRIP, 0, 4, layer.owner.length);
      }
    }
    gl.bindVertexArray(null);
    drawTiles();
    drawScale();
    placePopup();
    if (!thin) {
      gl.finish();
      state.slow = performance.now() - started > 40;
    }
    if (!state.ready) {
      state.ready = true;
      document.documentElement.dataset.drawn = String(Math.round(performance.now()));
    }
    document.documentElement.dataset.frames = String(Number(document.documentElement.dataset.frames || 0) + 1);
  }

  // Where drawing everything is slow, a part is drawn while the map moves, and everything once it rests.
  let asked = false, rest = 0;
  function redraw(moving) {
    if (asked || !state.loaded) return; // before the data is there, nothing can be drawn
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      const thin = Boolean(moving) && state.ready && state.slow;
      clearTimeout(rest);
      if (thin) rest = setTimeout(() => redraw(false), state.rest);
      draw(thin);
    });
  }

  // ---- base map, scale bar -------------------------------------------------------------------------------
  const tiles = new Map();
  function drawTiles() {
    if (!meta.basemap) return;
    const holder = document.getElementById("tiles");
    const level = Math.max(0, Math.min(meta.basemap.zoom, Math.round(state.zoom)));
    const count = 2 ** level, side = WORLD / count, unit = pixelsPerUnit();
    const left = state.x - box.clientWidth / 2 / unit, top = state.y - box.clientHeight / 2 / unit;
    const wanted = new Set();
    for (let row = Math.max(0, Math.floor(top / side)); row <= Math.min(count - 1, Math.floor((top + box.clientHeight / unit) / side)); row++) {
      for (let col = Math.floor(left / side); col <= Math.floor((left + box.clientWidth / unit) / side); col++) {
        const name = `${level}/${col}/${row}`;
        wanted.add(name);
        let image = tiles.get(name);
        if (!image) {
          image = new Image();
          image.alt = "";
          image.src = meta.basemap.url.replace("{z}", level).replace("{x}", ((col % count) + count) % count).replace("{y}", row);
          tiles.set(name, image);
          holder.append(image);
        }
        const scale = (side * unit) / 256;
        image.style.width = image.style.height = "256px";
        image.style.transform = `translate(${(col * side - left) * unit}px, ${(row * side - top) * unit}px) scale(${scale})`;
      }
    }
    for (const [name, image] of tiles) if (!wanted.has(name)) { image.remove(); tiles.delete(name); }
  }

  const latitude = (y) => (Math.atan(Math.sinh(Math.PI * (1 - (2 * y) / WORLD))) * 180) / Math.PI;
  function drawScale() {
    const metres = (Math.cos((latitude(state.y) * Math.PI) / 180) * EARTH_M) / (256 * 2 ** state.zoom);
    const power = 10 ** Math.floor(Math.log10(metres * 130));
    const length = [5, 2, 1].map((factor) => factor * power).find((value) => value <= metres * 130);
    const bar = document.getElementById("scale");
    bar.firstChild.textContent = length >= 1000 ? `${length / 1000} km` : `${+length.toPrecision(1)} m`;
    bar.lastChild.style.width = `${length / metres}px`;
    bar.dataset.metres = String(length);
  }

  // ---- what was clicked ----------------------------------------------------------------------------------
  // The difference of two places, the short way round.
  const across = (a, b) => { const d = a - b; return d > WORLD / 2 ? d - WORLD : d < -WORLD / 2 ? d + WORLD : d; };

  function pick(px, py) {
    const unit = pixelsPerUnit();
    const x = state.x + (px - box.clientWidth / 2) / unit, y = state.y + (py - box.clientHeight / 2) / unit;
    for (const layer of [...meta.layers].reverse()) {
      if (!layer.visible) continue;
      const reach = (layer.shape === "points" ? Math.max(8, radiusOf(layer) + 3) : 7) / unit;
      let best = reach * reach, found = -1, at = null;
      if (layer.shape === "points") {
        const xy = layer.xy;
        for (let i = 0, j = 0; j < xy.length; i++, j += 2) {
          const dy = xy[j + 1] - y;
          if (dy > reach || dy < -reach) continue;
          const dx = across(xy[j], x), square = dx * dx + dy * dy;
          if (square < best) { best = square; found = i; at = [xy[j], xy[j + 1]]; }
        }
      } else {
        const ends = layer.ends;
        for (let i = 0, j = 0; j < ends.length; i++, j += 4) {
          const ax = across(ends[j], x), ay = ends[j + 1] - y;
          const dx = across(ends[j + 2], ends[j]), dy = ends[j + 3] - ends[j + 1];
          const square = dx * dx + dy * dy;
          const share = square ? Math.min(1, Math.max(0, -(ax * dx + ay * dy) / square)) : 0;
          const ox = ax + share * dx, oy = ay + share * dy;
          if (ox * ox + oy * oy < best) { best = ox * ox + oy * oy; found = layer.owner[i]; at = [x + ox, y + oy]; }
        }
      }
      if (found >= 0) return { layer, row: found, at };
    }
    return null;
  }

  const NOTHING = { u1: 255, u2: 65535, u4: 4294967295 };
  function text(field, row) {
    const value = field.values[row];
    switch (field.kind) {
      case "uuid": {
        const hex = Array.from(field.values.subarray(16 * row, 16 * row + 16), (byte) => byte.toString(16).padStart(2, "0")).join("");
        return /^0+$/.test(hex) ? null : hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
      }
      case "text": return value === NOTHING[field.at[2]] ? null : field.words[value];
      case "truth": return value > 1 ? null : value ? "yes" : "no";
      case "time": return value === 0 ? null : new Date(value * 1000).toISOString().replace("T", " ").replace(".000Z", " UTC");
      case "whole": return value === -9223372036854775808n ? null : value.toString();
      default: return Number.isNaN(value) ? null : `${+value.toPrecision(field.at[2] === "f8" ? 15 : 7)}${field.unit || ""}`;
    }
  }

  let shown = null;
  const popup = document.getElementById("popup");
  function show(hit) {
    shown = hit;
    popup.hidden = !hit;
    if (!hit) return;
    popup.replaceChildren();
    const add = (name, words, into = popup) => {
      const made = document.createElement(name);
      if (words !== undefined) made.textContent = words; // never as HTML: names come from anyone
      into.append(made);
      return made;
    };
    const close = add("button", "×");
    close.setAttribute("aria-label", "Close");
    close.addEventListener("click", () => show(null));
    add("h2", hit.layer.name);
    const rows = [];
    for (const field of hit.layer.columns) {
      const value = text(field, hit.row);
      if (value === null) continue;
      if (field.role === "thumbnail") {
        const image = document.createElement("img");
        image.alt = "the picture";
        image.addEventListener("error", () => image.remove());
        image.addEventListener("load", placePopup);
        image.src = value;
        popup.append(image);
        continue;
      }
      rows.push([field, value]);
    }
    const table = add("table");
    const having = (role) => rows.find(([field]) => field.role === role)?.[1];
    const link = (cell, words, href, title) => {
      const made = add("a", words, cell);
      made.href = href;
      made.target = "_blank";
      made.rel = "noopener noreferrer";
      made.title = title;
    };
    for (const [field, value] of rows) {
      if (field.role === "address") continue; // that of the licence
      const line = add("tr", undefined, table);
      add("th", field.title, line);
      const cell = add("td", undefined, line);
      const page = field.role === "picture" && field.pages[having("provider") ?? ""];
      if (page) {
        link(cell, value, page[0].replace("{id}", () => encodeURIComponent(value)), `See it on ${page[1]}`);
      } else if (field.role === "licence" && /^https?:/i.test(having("address") ?? "")) {
        link(cell, value, having("address"), "Read the licence");
      } else {
        cell.textContent = value;
      }
    }
    placePopup();
  }

  function placePopup() {
    if (!shown) return;
    const unit = pixelsPerUnit();
    const x = box.clientWidth / 2 + across(shown.at[0], state.x) * unit;
    const y = box.clientHeight / 2 + (shown.at[1] - state.y) * unit;
    const left = Math.min(Math.max(10, x + 12), Math.max(10, box.clientWidth - popup.offsetWidth - 10));
    const top = Math.min(Math.max(10, y - popup.offsetHeight - 12), Math.max(10, box.clientHeight - popup.offsetHeight - 40));
    popup.style.left = `${left}px`;
    popup.style.top = `${top}px`;
  }

  // ---- moving about --------------------------------------------------------------------------------------
  function moveTo(x, y, zoom) {
    state.zoom = Math.min(23, Math.max(0.5, zoom));
    state.x = ((x % WORLD) + WORLD) % WORLD;
    state.y = Math.min(WORLD - 1, Math.max(0, y));
    redraw(true);
  }

  function zoomAt(px, py, by) {
    const before = pixelsPerUnit(), dx = px - box.clientWidth / 2, dy = py - box.clientHeight / 2;
    const zoom = Math.min(23, Math.max(0.5, state.zoom + by)), after = (256 * 2 ** zoom) / WORLD;
    moveTo(state.x + dx / before - dx / after, state.y + dy / before - dy / after, zoom);
  }

  function fit() {
    const [west, north, wide, high] = meta.view;
    const across = Math.max(box.clientWidth - 60, 60), down = Math.max(box.clientHeight - 100, 60);
    const zoom = Math.log2(Math.min(across / wide, down / high) * (WORLD / 256));
    moveTo(west + wide / 2, north + high / 2, Math.min(zoom, 18));
  }

  const fingers = new Map();
  let moved = 0;
  const place = (event) => { const at = box.getBoundingClientRect(); return [event.clientX - at.left, event.clientY - at.top]; };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    if (!fingers.size) moved = 0;
    fingers.set(event.pointerId, place(event));
    box.classList.add("moving");
  });
  canvas.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    const now = place(event);
    fingers.set(event.pointerId, now);
    const dx = now[0] - before[0], dy = now[1] - before[1];
    moved += Math.abs(dx) + Math.abs(dy);
    if (fingers.size === 2) {
      const other = [...fingers].find(([id]) => id !== event.pointerId)[1];
      const apart = (a) => Math.hypot(a[0] - other[0], a[1] - other[1]);
      if (apart(before) > 0 && apart(now) > 0) {
        zoomAt((now[0] + other[0]) / 2, (now[1] + other[1]) / 2, Math.log2(apart(now) / apart(before)));
      }
    }
    const unit = pixelsPerUnit() * fingers.size;
    moveTo(state.x - dx / unit, state.y - dy / unit, state.zoom);
  });
  const up = (event) => {
    const was = fingers.get(event.pointerId);
    fingers.delete(event.pointerId);
    if (!fingers.size) box.classList.remove("moving");
    if (was && !fingers.size && moved < 5 && event.type === "pointerup") show(pick(...place(event)));
  };
  canvas.addEventListener("pointerup", up);
  canvas.addEventListener("pointercancel", up);
  box.addEventListener("wheel", (event) => {
    if (event.target.closest("#panel, #popup")) return;
    event.preventDefault();
    zoomAt(...place(event), -event.deltaY * (event.deltaMode ? 0.05 : 0.0025));
  }, { passive: false });
  canvas.addEventListener("dblclick", (event) => zoomAt(...place(event), 1));
  box.addEventListener("keydown", (event) => {
    const step = 80 / pixelsPerUnit();
    const keys = {
      ArrowLeft: () => moveTo(state.x - step, state.y, state.zoom), ArrowRight: () => moveTo(state.x + step, state.y, state.zoom),
      ArrowUp: () => moveTo(state.x, state.y - step, state.zoom), ArrowDown: () => moveTo(state.x, state.y + step, state.zoom),
      "+": () => moveTo(state.x, state.y, state.zoom + 1), "-": () => moveTo(state.x, state.y, state.zoom - 1),
      Escape: () => show(null),
    };
    if (keys[event.key]) { keys[event.key](); event.preventDefault(); }
  });
  const half = () => [box.clientWidth / 2, box.clientHeight / 2];
  document.getElementById("in").addEventListener("click", () => zoomAt(...half(), 1));
  document.getElementById("out").addEventListener("click", () => zoomAt(...half(), -1));
  document.getElementById("all").addEventListener("click", fit);
  window.addEventListener("resize", () => redraw());

  function legend() {
    const panel = document.getElementById("panel");
    const small = window.matchMedia("(max-width: 600px), (max-height: 420px)");
    const fold = () => { panel.open = !small.matches; }; // on a phone it would hide the map
    small.addEventListener("change", fold);
    fold();
    if (meta.title) { const head = document.createElement("h1"); head.textContent = meta.title; panel.append(head); }
    for (const layer of [...meta.layers].reverse()) {
      const label = document.createElement("label");
      const tick = document.createElement("input");
      tick.type = "checkbox";
      tick.checked = true;
      tick.addEventListener("change", () => { layer.visible = tick.checked; show(null); redraw(); });
      const key = (colour) => {
        const made = document.createElement("span");
        made.className = layer.shape === "points" ? "key" : "key line";
        made.style.background = colour;
        return made;
      };
      label.append(tick, " ");
      if (!layer.labels) label.append(key(layer.colours[0]));
      const all = (layer.all ?? layer.rows).toLocaleString("en"), drawn = layer.rows.toLocaleString("en");
      label.append(`${layer.name} (${drawn === all ? "" : `${drawn} of `}${all})`);
      panel.append(label);
      for (const words of layer.notes || []) {
        const note = document.createElement("p");
        note.textContent = words;
        panel.append(note);
      }
      if (layer.labels) {
        const list = document.createElement("ul");
        layer.labels.forEach((words, i) => {
          const item = document.createElement("li");
          item.append(key(layer.colours[i]), words);
          list.append(item);
        });
        panel.append(list);
      }
    }
  }

  (async () => {
    try {
      const holder = document.getElementById("data");
      load(await unpack(holder.textContent.trim()));
      holder.remove();
      prepare();
      legend();
      state.loaded = true;
      fit();
    } catch (error) {
      const problem = document.getElementById("problem");
      problem.textContent = `The map cannot be drawn: ${error.message}`;
      problem.hidden = false;
      document.documentElement.dataset.problem = error.message;
    }
  })();
  window.mlygeo = { state, moveTo, pick, meta };
})();
