"use strict";
// The base map: pictures below the canvas, or shapes that the canvas draws first.
window.mlygeoGround = ({ meta, state, box, WORLD, unpack, column, pixelsPerUnit, redraw }) => {
  const base = meta.basemap;
  const inside = base && document.getElementById("ground") ? JSON.parse(document.getElementById("ground").textContent) : null;

  // ---- pictures, from whoever serves them or out of the page -----------------------------------------------
  const tiles = new Map();
  function address(level, column, row) {
    if (base.url) return base.url.replaceAll("{z}", level).replaceAll("{x}", column).replaceAll("{y}", row);
    const found = inside[`${level}/${column}/${row}`];
    return found && `data:image/${base.type};base64,${found}`;
  }

  function drawTiles() {
    if (!base || base.kind === "shapes") return;
    const holder = document.getElementById("tiles");
    const level = Math.max(base.zooms[0], Math.min(base.zooms[1], Math.round(state.zoom)));
    const count = 2 ** level, side = WORLD / count, unit = pixelsPerUnit();
    const left = state.x - box.clientWidth / 2 / unit, top = state.y - box.clientHeight / 2 / unit;
    const wanted = new Set();
    for (let row = Math.max(0, Math.floor(top / side)); row <= Math.min(count - 1, Math.floor((top + box.clientHeight / unit) / side)); row++) {
      for (let col = Math.floor(left / side); col <= Math.floor((left + box.clientWidth / unit) / side); col++) {
        const name = `${level}/${col}/${row}`;
        let image = tiles.get(name);
        if (!image) {
          const source = address(level, ((col % count) + count) % count, row);
          if (!source) continue;
          image = new Image();
          image.alt = "";
          image.addEventListener("error", (event) => { event.target.style.visibility = "hidden"; }); // no sign of a broken picture
          image.src = source;
          tiles.set(name, image);
          holder.append(image);
        }
        wanted.add(name);
        const scale = (side * unit) / 256;
        image.style.width = image.style.height = "256px";
        image.style.transform = `translate(${(col * side - left) * unit}px, ${(row * side - top) * unit}px) scale(${scale})`;
      }
    }
    for (const [name, image] of tiles) if (!wanted.has(name)) { image.remove(); tiles.delete(name); }
  }

  // ---- shapes, a level at a time, unpacked when it is first seen -------------------------------------------
  const levels = base?.kind === "shapes" ? base.levels : [];

  function shapes(part, zoom, all) {
    const scale = 2 ** (20 - zoom); // a tile has 4096 steps, the world 2 ** 32
    const x = Float64Array.from(column(all, part.x), (value) => value * scale);
    const y = Float64Array.from(column(all, part.y), (value) => Math.min(value * scale, WORLD - 1));
    const counts = column(all, part.counts);
    if (part.rings) return { fill: window.mlygeoFills.triangles(x, y, counts, column(all, part.rings)) };
    const ends = new Uint32Array(4 * (x.length - counts.length));
    let from = 0, to = 0;
    for (const count of counts) {
      for (let i = 1; i < count; i++, from++) ends.set([x[from], y[from], x[from + 1], y[from + 1]], 4 * to++);
      from++;
    }
    return { ends };
  }

  async function load(level) {
    level.asked = true;
    const text = inside[levels.indexOf(level)];
    const all = await unpack(text);
    level.shapes = level.parts.map((part) => ({ ...base.looks[part.look], ...shapes(part, level.zoom, all) }));
    redraw();
  }

  // Those of the finest level that suits the zoom; until they are unpacked, those of the nearest one that is.
  function shown() {
    // Tiles of shapes are made to be 512 pixels wide, which is one zoom less than that of the map.
    const suits = levels.findLast((level) => level.zoom <= state.zoom - 0.75) ?? levels[0];
    if (!suits) return null;
    if (!suits.asked) load(suits);
    const at = levels.indexOf(suits);
    const there = levels.filter((level) => level.shapes).sort((a, b) => Math.abs(levels.indexOf(a) - at) - Math.abs(levels.indexOf(b) - at));
    if (suits.shapes) document.documentElement.dataset.ground = String(suits.zoom);
    return there[0]?.shapes ?? null;
  }

  return { drawTiles, shown };
};
