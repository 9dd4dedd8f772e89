"use strict";
// Polygons filled: earcut cuts them into triangles when the page opens, which takes a tenth of the time and less
// than a third of the bytes of triangles that Python would put into the page.
window.mlygeoFills = {
  // Of rings (`counts` vertices each, the last one as the first) that are polygons of so many `rings`, the outer first.
  // Vertices keep their exact place, and how far east of the first of their polygon they lie, `off`, be it more than
  // half the world: whole numbers wrap round there.
  triangles(x, y, counts, rings, across = (a, b) => a - b) {
    let most = 0;
    for (const count of counts) most += count;
    const place = new Uint32Array(2 * most), first = new Uint32Array(most), off = new Float32Array(most), polygon = new Uint32Array(most);
    const index = new Uint32Array(3 * (most + 2 * counts.length));
    let from = 0, ring = 0, used = 0, corners = 0;
    for (let number = 0; number < rings.length; number++) {
      const start = used, flat = [], holes = [];
      let begin = 0; // where the ring before began, and ended
      for (let hole = 0; hole < rings[number]; hole++, ring++) {
        if (hole) holes.push(used - start);
        let at = begin = hole ? begin + across(x[from], x[from - 1]) : 0;
        for (let i = 0; i < counts[ring] - 1; i++) {
          if (i) at += across(x[from + i], x[from + i - 1]);
          place[2 * used] = x[from + i];
          place[2 * used + 1] = y[from + i];
          first[used] = place[2 * start];
          off[used] = at;
          polygon[used++] = number;
          flat.push(at, y[from + i]);
        }
        from += counts[ring];
      }
      for (const corner of window.earcut.default(flat, holes)) index[corners++] = start + corner;
    }
    return {
      place: place.subarray(0, 2 * used), first: first.subarray(0, used), off: off.subarray(0, used),
      polygon: polygon.subarray(0, used), index: index.subarray(0, corners),
    };
  },

  program: (head) => [`${head}
    in uvec2 place; in uint first; in float off; in uint kind; in uint when; uniform float strength;
    out vec4 colour;
    void main() {
      colour = vec4(palette[kind].rgb * strength, strength);
      // Across the place where whole numbers wrap, the vertex that is as far from the first one as it should be.
      float wanted = float(int(first - centre.x)) + off, found = float(int(place.x - centre.x));
      vec2 p = pixels(place);
      p.x += round((wanted - found) / 4294967296.0) * 4294967296.0 * unit;
      gl_Position = clip(p);
      if (when < span.x || when > span.y) gl_Position = vec4(2.0, 2.0, 2.0, 1.0);
    }`, `#version 300 es
    precision highp float;
    in vec4 colour; out vec4 shown; void main() { shown = colour; }`],

  // The row whose area a place lies in, -1 for none: of several the one drawn last. The pieces of the borders of a
  // row follow each other.
  holding(layer, x, y, across, counts) {
    const { ends, owner } = layer;
    let found = -1, inside = false;
    for (let i = 0, j = 0; i <= owner.length; i++, j += 4) {
      if (i && owner[i] !== owner[i - 1]) {
        if (inside && counts(owner[i - 1])) found = owner[i - 1];
        inside = false;
        if (i === owner.length) break;
      }
      const above = ends[j + 1] > y;
      if (i < owner.length && above !== (ends[j + 3] > y)) {
        const ax = across(ends[j], x), run = across(ends[j + 2], ends[j]);
        if (ax + (run * (y - ends[j + 1])) / (ends[j + 3] - ends[j + 1]) > 0) inside = !inside;
      }
    }
    return found;
  },
};
