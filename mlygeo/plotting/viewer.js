"use strict";
// Positions are whole numbers: the Web Mercator world is 2^32 wide and high, so a unit is a centimetre at
// most. The shaders subtract the centre of the view as whole numbers, which is exact at any zoom, and
// wraps round at the antimeridian.
(() => {
  const WORLD = 2 ** 32;
  const EARTH_M = 40075016.686;
  const SLOW_MS = 40; // where a picture of all points takes longer, a part of them is drawn while the map moves
  const FEW = 20000; // points of a layer that are drawn even then
  const ALL_TIMES = [0, 4294967295];
  // The difference of two places, the short way round.
  const across = (a, b) => { const d = a - b; return d > WORLD / 2 ? d - WORLD : d < -WORLD / 2 ? d + WORLD : d; };
  const fills = window.mlygeoFills; // there if something is filled
  let ground = null; // there if there is a base map
  const meta = JSON.parse(document.getElementById("meta").textContent);
  const box = document.getElementById("map");
  const canvas = document.createElement("canvas");
  box.append(canvas);
  const state = { x: 0, y: 0, zoom: 1, ready: false, loaded: false, drawn: 0, bears: Infinity, rest: 150, span: ALL_TIMES };

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
        if (layer.rings) {
          const rings = column(all, layer.rings), firsts = [];
          for (let polygon = 0, ring = 0; polygon < rings.length; ring += rings[polygon++]) firsts.push(owners[ring]);
          layer.fill = fills.triangles(x, y, counts, rings, across);
          layer.fill.owner = layer.fill.polygon.map((polygon) => firsts[polygon]);
        }
      }
      for (const field of layer.columns) {
        field.values = column(all, field.at);
        if (field.role === "when") layer.when = field.values; // seconds, 0 where unknown
      }
      for (const paint of layer.paints) paint.classes = paint.index ? column(all, paint.index) : null;
      layer.paint = layer.paints[0];
    }
  }

  // ---- drawing -------------------------------------------------------------------------------------------
  const HEAD = `#version 300 es
    precision highp float; precision highp int;
    uniform uvec2 centre; uniform vec2 rest; uniform float unit; uniform vec2 half_size;
    uniform vec4 palette[16]; uniform uvec2 span;
    vec2 pixels(uvec2 place) { uvec2 d = place - centre; return (vec2(ivec2(d)) - rest) * unit; }
    vec4 clip(vec2 p) { return vec4(p.x / half_size.x, -p.y / half_size.y, 0.0, 1.0); }`;
  const POINTS = [`${HEAD}
    in uvec2 place; in uint kind; in uint heading; in uint pano; in uint when;
    uniform float radius; uniform bool arrows;
    out vec4 colour; out float look; out float size; flat out uint ring;
    void main() {
      colour = palette[kind]; ring = pano;
      look = arrows && heading != 65535u && pano == 0u ? float(heading) * 6.28318531 / 65534.0 : -1.0;
      size = look >= 0.0 ? radius * 6.0 : radius * 2.0 + 2.0;
      gl_PointSize = size; gl_Position = clip(pixels(place));
      if (when < span.x || when > span.y) gl_Position = vec4(2.0, 2.0, 2.0, 1.0);
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
    in vec2 corner; in uvec2 from; in uvec2 to; in uint kind; in uint when; uniform float width;
    out vec4 colour;
    void main() {
      colour = palette[kind];
      uvec2 run = to - from; vec2 a = pixels(from), d = vec2(ivec2(run)) * unit, b = a + d; float l = length(d);
      d = l > 0.0 ? d / l : vec2(1.0, 0.0);
      vec2 side = vec2(-d.y, d.x) * corner.y * width * 0.5;
      gl_Position = clip(mix(a, b, corner.x) + side + d * (corner.x - 0.5) * width * 0.6);
      if (when < span.x || when > span.y) gl_Position = vec4(2.0, 2.0, 2.0, 1.0);
    }`, `#version 300 es
    precision highp float;
    in vec4 colour; out vec4 shown; void main() { shown = colour; }`];

  let gl, pointProgram, lineProgram, fillProgram, corners;

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
    if (!data) { gl.disableVertexAttribArray(at); return; }
    gl.bindBuffer(gl.ARRAY_BUFFER, data);
    gl.enableVertexAttribArray(at);
    gl.vertexAttribIPointer(at, size, type, stride, offset);
    gl.vertexAttribDivisor(at, divisor);
  }

  function buffer(values, target = gl.ARRAY_BUFFER) {
    if (!values) return null;
    const made = gl.createBuffer();
    gl.bindBuffer(target, made);
    gl.bufferData(target, values, gl.STATIC_DRAW);
    return made;
  }

  function prepare() {
    gl = canvas.getContext("webgl2", { alpha: true, antialias: true, premultipliedAlpha: true });
    if (!gl) throw new Error("this browser has no WebGL 2, which the map needs");
    pointProgram = program(POINTS);
    lineProgram = program(LINES);
    if (fills) fillProgram = program(fills.program(HEAD));
    corners = buffer(new Float32Array([0, -1, 0, 1, 1, -1, 1, 1]));
    for (const layer of meta.layers) {
      if (layer.shape === "points") {
        layer.buffers = { place: buffer(layer.xy), heading: buffer(layer.look), pano: buffer(layer.pano), when: buffer(layer.when) };
      } else {
        layer.buffers = { ends: buffer(layer.ends), when: buffer(layer.when && ofSegments(layer, layer.when, Uint32Array)), corners };
      }
      colourBy(layer, layer.paint);
    }
    gl.bindVertexArray(null);
  }

  // What is filled, and lines, of one colour and without rows: the base map.
  function drawGround(begin, ratio) {
    for (const shape of ground?.shown() ?? []) {
      const used = shape.fill ? fillProgram : lineProgram;
      if (!shape.array && shape.fill) shape.array = fillArray(shape.fill);
      if (!shape.array) {
        shape.buffers = { ends: buffer(shape.ends), corners };
        shape.array = lineArray(shape);
      }
      begin(used, [shape.colour], ALL_TIMES);
      gl.bindVertexArray(shape.array);
      if (shape.fill) {
        gl.uniform1f(used.uniform("strength"), 1);
        gl.drawElements(gl.TRIANGLES, shape.fill.index.length, gl.UNSIGNED_INT, 0);
      } else {
        gl.uniform1f(used.uniform("width"), widthOf(shape, 0.3) * ratio);
        gl.drawArraysInstanced(gl.TRIANGLE_STRIP, 0, 4, shape.ends.length / 4);
      }
    }
  }

  // The values of rows, for each segment of a layer of lines, or each vertex of what is filled.
  function ofSegments({ owner }, values, Type) {
    const found = new Type(owner.length);
    for (let i = 0; i < found.length; i++) found[i] = values[owner[i]];
    return found;
  }

  function colourBy(layer, paint) {
    layer.paint = paint;
    const parts = layer.buffers;
    if (parts.kind) gl.deleteBuffer(parts.kind);
    const classes = paint.classes && layer.shape === "lines" ? ofSegments(layer, paint.classes, Uint8Array) : paint.classes;
    parts.kind = buffer(classes);
    layer.array = layer.shape === "points" ? pointArray(layer, 1, layer.array) : lineArray(layer, layer.array);
    layer.thinEvery = 0;
    if (layer.fill) {
      const when = layer.when && ofSegments(layer.fill, layer.when, Uint32Array);
      layer.fill.array = fillArray(layer.fill, paint.classes && ofSegments(layer.fill, paint.classes, Uint8Array), when, layer.fill.array);
    }
  }

  function fillArray(fill, kind, when, old) {
    if (old) gl.deleteVertexArray(old);
    for (const name of ["kind", "when"]) if (fill.buffers?.[name]) gl.deleteBuffer(fill.buffers[name]);
    const made = gl.createVertexArray();
    fill.buffers = { place: buffer(fill.place), first: buffer(fill.first), off: buffer(fill.off), ...fill.buffers, kind: buffer(kind), when: buffer(when) };
    gl.bindVertexArray(made);
    whole(fillProgram, "place", fill.buffers.place, 2, gl.UNSIGNED_INT, 8, 0, 0);
    whole(fillProgram, "first", fill.buffers.first, 1, gl.UNSIGNED_INT, 4, 0, 0);
    whole(fillProgram, "kind", fill.buffers.kind, 1, gl.UNSIGNED_BYTE, 1, 0, 0);
    whole(fillProgram, "when", fill.buffers.when, 1, gl.UNSIGNED_INT, 4, 0, 0);
    const off = fillProgram.input("off");
    gl.bindBuffer(gl.ARRAY_BUFFER, fill.buffers.off);
    gl.enableVertexAttribArray(off);
    gl.vertexAttribPointer(off, 1, gl.FLOAT, false, 0, 0);
    fill.buffers.index ??= buffer(fill.index, gl.ELEMENT_ARRAY_BUFFER);
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, fill.buffers.index);
    gl.bindVertexArray(null);
    return made;
  }

  // The same buffers, of which only every so many-th point is read: for while the map moves.
  function pointArray(layer, step, old) {
    if (old) gl.deleteVertexArray(old);
    const made = gl.createVertexArray(), parts = layer.buffers;
    gl.bindVertexArray(made);
    whole(pointProgram, "place", parts.place, 2, gl.UNSIGNED_INT, 8 * step, 0, 0);
    whole(pointProgram, "kind", parts.kind, 1, gl.UNSIGNED_BYTE, step, 0, 0);
    whole(pointProgram, "heading", parts.heading, 1, gl.UNSIGNED_SHORT, 2 * step, 0, 0);
    whole(pointProgram, "pano", parts.pano, 1, gl.UNSIGNED_BYTE, step, 0, 0);
    whole(pointProgram, "when", parts.when, 1, gl.UNSIGNED_INT, 4 * step, 0, 0);
    gl.bindVertexArray(null);
    return made;
  }

  function lineArray(layer, old) {
    if (old) gl.deleteVertexArray(old);
    const made = gl.createVertexArray(), parts = layer.buffers;
    gl.bindVertexArray(made);
    whole(lineProgram, "from", parts.ends, 2, gl.UNSIGNED_INT, 16, 0, 1);
    whole(lineProgram, "to", parts.ends, 2, gl.UNSIGNED_INT, 16, 8, 1);
    whole(lineProgram, "kind", parts.kind, 1, gl.UNSIGNED_BYTE, 1, 0, 1);
    whole(lineProgram, "when", parts.when, 1, gl.UNSIGNED_INT, 4, 0, 1);
    const corner = lineProgram.input("corner");
    gl.bindBuffer(gl.ARRAY_BUFFER, parts.corners);
    gl.enableVertexAttribArray(corner);
    gl.vertexAttribPointer(corner, 2, gl.FLOAT, false, 0, 0);
    gl.bindVertexArray(null);
    return made;
  }

  // Those that were picked have a black rim: a larger dot below each.
  function showPicked(places) {
    if (state.picked) { gl.deleteBuffer(state.picked.buffers.place); gl.deleteVertexArray(state.picked.array); }
    state.picked = null;
    if (places.length) {
      state.picked = { buffers: { place: buffer(places) }, count: places.length / 2 };
      state.picked.array = pointArray(state.picked, 1);
    }
    redraw();
  }

  const rgb = (text) => [1, 3, 5].map((i) => parseInt(text.slice(i, i + 2), 16) / 255).concat(1);
  const CONES_FROM = 16.5; // zoom
  const pixelsPerUnit = () => (256 * 2 ** state.zoom) / WORLD;
  const widthOf = (layer, least = 0.6) => layer.width * Math.min(1.6, Math.max(least, (state.zoom - 8) / 7));
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
      if (!seen && from >= 0) {
        const to = Math.min(count, run * RUN);
        gl.drawArrays(gl.POINTS, from, to - from);
        state.drawn += to - from;
        from = -1;
      }
    }
  }

  function draw(every) {
    if (every === 1) state.drawn = 0;
    const ratio = window.devicePixelRatio || 1;
    const wide = Math.round(box.clientWidth * ratio), high = Math.round(box.clientHeight * ratio);
    if (canvas.width !== wide || canvas.height !== high) { canvas.width = wide; canvas.height = high; }
    gl.viewport(0, 0, wide, high);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    const x = Math.floor(state.x), y = Math.floor(state.y);
    const begin = (used, colours, span) => {
      gl.useProgram(used.made);
      // Generic values belong to the context, not to the layer, so they are set anew.
      for (const [name, value] of [["kind", 0], ["heading", 65535], ["pano", 0], ["when", 0]]) {
        if (used.input(name) >= 0) gl.vertexAttribI4ui(used.input(name), value, 0, 0, 0);
      }
      gl.uniform2ui(used.uniform("centre"), x >>> 0, y >>> 0);
      gl.uniform2f(used.uniform("rest"), state.x - x, state.y - y);
      gl.uniform1f(used.uniform("unit"), pixelsPerUnit() * ratio);
      gl.uniform2f(used.uniform("half_size"), wide / 2, high / 2);
      gl.uniform4fv(used.uniform("palette"), colours.flatMap(rgb));
      gl.uniform2ui(used.uniform("span"), ...span);
    };
    const rims = () => {
      begin(pointProgram, ["#000000"], ALL_TIMES);
      gl.uniform1f(pointProgram.uniform("radius"), (Math.max(...meta.layers.map((layer) => layer.radius ? radiusOf(layer) : 0)) + 2.5) * ratio);
      gl.uniform1i(pointProgram.uniform("arrows"), 0);
      gl.bindVertexArray(state.picked.array);
      gl.drawArrays(gl.POINTS, 0, state.picked.count);
    };
    let rimmed = !state.picked;
    drawGround(begin, ratio);
    for (const layer of meta.layers) { // below all lines and points
      if (!layer.visible || !layer.fill) continue;
      begin(fillProgram, layer.paint.colours, layer.when ? state.span : ALL_TIMES);
      gl.uniform1f(fillProgram.uniform("strength"), layer.strength);
      gl.bindVertexArray(layer.fill.array);
      gl.drawElements(gl.TRIANGLES, layer.fill.index.length, gl.UNSIGNED_INT, 0);
    }
    for (const layer of meta.layers) {
      if (layer.shape === "points" && !rimmed) { rims(); rimmed = true; }
      if (!layer.visible) continue;
      const used = layer.shape === "points" ? pointProgram : lineProgram;
      begin(used, layer.paint.colours, layer.when ? state.span : ALL_TIMES);
      gl.bindVertexArray(layer.array);
      if (layer.shape === "points") {
        gl.uniform1f(used.uniform("radius"), radiusOf(layer) * ratio);
        gl.uniform1i(used.uniform("arrows"), state.zoom >= CONES_FROM ? 1 : 0);
        const step = Math.min(every, Math.ceil(layer.xy.length / 2 / FEW));
        if (step > 1) {
          if (layer.thinEvery !== step) layer.thin = pointArray(layer, step, layer.thin);
          layer.thinEvery = step;
          gl.bindVertexArray(layer.thin);
          gl.drawArrays(gl.POINTS, 0, Math.floor((layer.xy.length / 2 - 1) / step) + 1);
        } else {
          drawRuns(layer);
        }
      } else {
        gl.uniform1f(used.uniform("width"), widthOf(layer) * ratio);
        gl.drawArraysInstanced(gl.TRIANGLE_STRIP, 0, 4, layer.owner.length);
      }
    }
    if (!rimmed) rims();
    gl.bindVertexArray(null);
    ground?.drawTiles();
    drawScale();
    placePopup();
    if (!state.ready) {
      state.ready = true;
      document.documentElement.dataset.drawn = String(Math.round(performance.now()));
    }
    document.documentElement.dataset.frames = String(Number(document.documentElement.dataset.frames || 0) + 1);
  }

  // Where drawing everything is slow, a part is drawn while the map moves, and everything once it rests. What
  // the machine bears is told by the time from frame to frame, which no command of WebGL tells.
  let asked = false, rest = 0, last = 0, every = 1;
  function redraw(moving) {
    if (asked || !state.loaded) return; // before the data is there, nothing can be drawn
    asked = true;
    requestAnimationFrame((now) => {
      asked = false;
      clearTimeout(rest);
      const gap = now - last;
      if (moving && last && gap < 2000 && state.drawn > FEW) {
        const fits = (state.drawn / every) * (SLOW_MS / gap);
        if (gap > SLOW_MS) state.bears = Math.max(FEW, Math.min(state.bears, fits));
        else if (every > 1 && gap < SLOW_MS / 2) state.bears *= 1.1;
      }
      every = moving && state.ready ? Math.min(31, Math.max(1, Math.ceil(state.drawn / state.bears))) : 1; // strides end at 255 bytes
      if (every > 1) rest = setTimeout(() => redraw(false), state.rest);
      draw(every);
      last = moving ? now : 0;
    });
  }

  // ---- scale bar -----------------------------------------------------------------------------------------
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
  const inTime = (layer, row) => !layer.when || (layer.when[row] >= state.span[0] && layer.when[row] <= state.span[1]);

  function pick(px, py, further = 0) {
    const unit = pixelsPerUnit();
    const x = state.x + (px - box.clientWidth / 2) / unit, y = state.y + (py - box.clientHeight / 2) / unit;
    for (const layer of [...meta.layers].reverse()) {
      if (!layer.visible) continue;
      const reach = (layer.shape === "points" ? Math.max(8, radiusOf(layer) + 3) : 7) / unit + further / unit;
      let best = reach * reach, found = -1, at = null;
      if (layer.shape === "points") {
        const xy = layer.xy, boxes = layer.boxes;
        for (let run = 0; run < boxes.length / 4; run++) {
          if (boxes[4 * run + 3] < y - reach || boxes[4 * run + 1] > y + reach) continue;
          for (let i = run * RUN, j = 2 * i; j < Math.min(xy.length, 2 * (run + 1) * RUN); i++, j += 2) {
            const dy = xy[j + 1] - y;
            if (dy > reach || dy < -reach) continue;
            const dx = across(xy[j], x), square = dx * dx + dy * dy;
            if (square < best && inTime(layer, i)) { best = square; found = i; at = [xy[j], xy[j + 1]]; }
          }
        }
      } else {
        const ends = layer.ends;
        for (let i = 0, j = 0; j < ends.length; i++, j += 4) {
          const ax = across(ends[j], x), ay = ends[j + 1] - y;
          const dx = across(ends[j + 2], ends[j]), dy = ends[j + 3] - ends[j + 1];
          const square = dx * dx + dy * dy;
          const share = square ? Math.min(1, Math.max(0, -(ax * dx + ay * dy) / square)) : 0;
          const ox = ax + share * dx, oy = ay + share * dy;
          if (ox * ox + oy * oy < best && inTime(layer, layer.owner[i])) { best = ox * ox + oy * oy; found = layer.owner[i]; at = [x + ox, y + oy]; }
        }
      }
      if (found >= 0) return { layer, row: found, at };
    }
    for (const layer of [...meta.layers].reverse()) { // what is filled lies below points and lines
      if (!layer.visible || !layer.fill) continue;
      const row = fills.holding(layer, x, y, across, (owner) => inTime(layer, owner));
      if (row >= 0) return { layer, row, at: [x, y] };
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
      default: {
        if (Number.isNaN(value)) return null;
        if (field.unit) return `${+value.toFixed(2)}${field.unit}`; // centimetres, hundredths of a degree
        return `${+value.toPrecision(field.at[2] === "f8" ? 15 : 7)}`;
      }
    }
  }

  let shown = null;
  const popup = document.getElementById("popup");
  function show(hit, { byKey = false } = {}) {
    if (!hit && popup.contains(document.activeElement)) box.focus();
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
        image.alt = `the picture${said(hit.layer, hit.row, "when") ? `, ${said(hit.layer, hit.row, "when")}` : ""}`;
        image.addEventListener("error", () => { image.replaceWith("(its picture is not to be had)"); });
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
    if (byKey) close.focus();
  }

  // The values of a row in words: of the field of a role or a title, null where there is none.
  const said = (layer, row, name) => {
    const field = layer.columns.find((one) => one.role === name || one.title === name);
    return field ? text(field, row) : null;
  };

  function placePopup() {
    if (!shown) return;
    const unit = pixelsPerUnit();
    const x = box.clientWidth / 2 + across(shown.at[0], state.x) * unit;
    const y = box.clientHeight / 2 + (shown.at[1] - state.y) * unit;
    const [right, above] = free(popup.offsetWidth);
    const buttons = document.getElementById("buttons").offsetWidth + 18;
    const least = right - popup.offsetWidth - 8 >= buttons ? buttons : 10;
    const most = Math.max(least, right - popup.offsetWidth - 8), beside = x - popup.offsetWidth - 12;
    const left = x + 12 > most && beside >= least ? Math.min(beside, most) : Math.min(Math.max(least, x + 12), most);
    // Above what was clicked, or below it; where neither has room, over it.
    const high = popup.offsetHeight, lowest = Math.max(above, box.clientHeight - high - 40);
    const top = y - high - 12 < above && y + 14 <= lowest ? y + 14 : Math.min(Math.max(above, y - high - 12), lowest);
    popup.style.left = `${left}px`;
    popup.style.top = `${top}px`;
  }

  // Where something so wide may end on the right, and begin at the top, so that the legend stays to be seen: beside
  // it, or below where it is folded.
  function free(wide) {
    const panel = document.getElementById("panel"), at = panel.getBoundingClientRect(), from = box.getBoundingClientRect();
    const left = at.left - from.left;
    if (panel.open && left >= wide + 70) return [left, 10];
    return [box.clientWidth, panel.open || left >= wide + 70 ? 10 : at.bottom - from.top + 10];
  }

  // ---- moving about --------------------------------------------------------------------------------------
  function moveTo(x, y, zoom) {
    state.fitted = false;
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
    // Beside the legend, unless that takes nearly half of the map; the whole world has only one middle.
    const panel = document.getElementById("panel"), legend = panel.open ? panel.offsetWidth + 10 : 0;
    const beside = legend < 0.45 * box.clientWidth && wide < WORLD / 4 ? legend : 0;
    const across = Math.max(box.clientWidth - beside - 60, 60), down = Math.max(box.clientHeight - 100, 60);
    const zoom = Math.min(18, Math.log2(Math.min(across / wide, down / high) * (WORLD / 256)));
    moveTo(west + wide / 2 + (beside / 2) * (WORLD / 256) / 2 ** zoom, north + high / 2, zoom);
    state.fitted = true;
  }

  const fingers = new Map();
  let moved = 0;
  const choosing = (event) => state.choosing || event.shiftKey;
  const place = (event) => { const at = box.getBoundingClientRect(); return [event.clientX - at.left, event.clientY - at.top]; };
  canvas.addEventListener("pointerdown", (event) => {
    if (!fingers.size && choosing(event)) { state.box = [place(event), place(event)]; }
    canvas.setPointerCapture(event.pointerId);
    if (!fingers.size) moved = 0;
    fingers.set(event.pointerId, place(event));
    box.classList.add("moving");
  });
  canvas.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    const now = place(event);
    if (state.box) {
      state.box[1] = now;
      state.onBox?.(state.box, false);
      fingers.set(event.pointerId, now);
      return;
    }
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
    if (state.box) {
      const [from, to] = state.box;
      state.box = null;
      const drawn = event.type === "pointerup" && Math.hypot(from[0] - to[0], from[1] - to[1]) >= 5;
      state.onBox?.(drawn ? [from, to] : null, true);
      if (drawn || event.type !== "pointerup") return;
    }
    if (was && !fingers.size && moved < 5 && event.type === "pointerup") {
      const hit = pick(...place(event));
      if (hit || !choosing(event)) show(hit);
      state.onPick?.(hit, event.ctrlKey || event.metaKey || choosing(event));
    }
  };
  canvas.addEventListener("pointerup", up);
  canvas.addEventListener("pointercancel", up);
  box.addEventListener("wheel", (event) => {
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
      Escape: () => show(null), Home: fit, Enter: () => atCentre(false), " ": () => atCentre(true),
    };
    if (event.target !== box || event.ctrlKey || event.metaKey || event.altKey) return;
    if (keys[event.key]) { keys[event.key](); event.preventDefault(); }
  });
  // The nearest to the cross in the middle: for those without a mouse.
  function atCentre(add) {
    const hit = pick(...half(), 40);
    show(hit, { byKey: !add });
    state.onPick?.(hit, add);
    state.say?.(hit ? [hit.layer.name, said(hit.layer, hit.row, "id"), said(hit.layer, hit.row, "when")].filter(Boolean).join(", ") : "nothing near the middle of the map");
  }
  popup.addEventListener("keydown", (event) => { if (event.key === "Escape") show(null); });
  const half = () => [box.clientWidth / 2, box.clientHeight / 2];
  document.getElementById("in").addEventListener("click", () => zoomAt(...half(), 1));
  document.getElementById("out").addEventListener("click", () => zoomAt(...half(), -1));
  document.getElementById("all").addEventListener("click", fit);
  // Notebooks open a page before they have room for it; what nobody has moved is fitted anew.
  window.addEventListener("resize", () => { if (state.fitted) fit(); else redraw(); });

  (async () => {
    try {
      const holder = document.getElementById("data");
      ground = window.mlygeoGround?.({ meta, state, box, WORLD, unpack, column, pixelsPerUnit, redraw });
      load(await unpack(holder.textContent.trim()));
      holder.remove();
      prepare();
      state.loaded = true;
      window.mlygeo.controls();
      fit();
    } catch (error) {
      const problem = document.getElementById("problem");
      problem.textContent = `The map cannot be drawn: ${error.message}`;
      problem.hidden = false;
      document.documentElement.dataset.problem = error.message;
    }
  })();
  window.mlygeo = {
    state, moveTo, pick, free, meta, box, canvas, show, said, text, redraw, colourBy, showPicked, inTime, place, pixelsPerUnit, across, latitude,
    WORLD, ALL_TIMES, CONES_FROM,
  };
})();
