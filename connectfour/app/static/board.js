// The board of one visitor. `props.value` is a view (see connectfour/app/sitting.py), and `trigger` requests the next one.
// A view's `board` says how the board looks: discs drop into columns, marks are set on cells.
const CELL = 100, LEFT = 20, RADIUS = 40;
const HEIGHT_OF_BARS = 78, MILLISECONDS_BETWEEN_MOVES = 900, PATIENCE = 10000;
const BUTTONS = ["restart", "undo", "hint", "swap"]; // Gradio looks up the names of events in this script
const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
const find = (selector) => element.querySelector(selector);
const board = find(".board");

const draw = (name, attributes, parent) => {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  parent.append(node);
  return node;
};
const same = (one, other) => one.length === other.length && one.every((value, index) => value === other[index]);

// A piece is a group of the class disc0, disc1, mark0 or mark1.
const drawDisc = (seat, radius, parent) => {
  draw("circle", { r: radius, class: "fill" }, parent);
  const arm = radius * 0.34;
  if (seat === 0) draw("circle", { r: radius * 0.5, class: "shape" }, parent);
  else draw("path", { d: `M${-arm} ${-arm}L${arm} ${arm}M${-arm} ${arm}L${arm} ${-arm}`, class: "shape" }, parent);
};
const drawMark = (seat, radius, parent) => {
  for (const part of ["edge", "shape"]) {
    const arm = radius * 0.62;
    if (seat === 0) draw("path", { d: `M${-arm} ${-arm}L${arm} ${arm}M${-arm} ${arm}L${arm} ${-arm}`, class: part }, parent);
    else draw("circle", { r: radius * 0.72, class: part }, parent);
  }
};

// The two kinds of boards. Each draws what never changes, and returns where pieces go and how opinions are shown.
const discBoard = ({ rows, columns, names }) => {
  const top = 130, width = columns * CELL, tall = rows * CELL;
  const middle = ([row, column]) => [LEFT + (column + 0.5) * CELL, top + (row + 0.5) * CELL];
  // From back to front: discs fall behind the board.
  draw("rect", { x: LEFT, y: top, width, height: tall, class: "back" }, board);
  const clip = draw("clipPath", { id: `clip-${Math.random().toString(36).slice(2)}` }, board);
  draw("rect", { x: LEFT, y: top, width, height: tall }, clip);
  const pieces = draw("g", { class: "pieces", "clip-path": `url(#${clip.id})` }, board);
  let holes = `M${LEFT - 12} ${top - 10}h${width + 24}v${tall + 22}h${-width - 24}z`;
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++) {
      const [x, y] = middle([row, column]);
      holes += `M${x - RADIUS} ${y}a${RADIUS} ${RADIUS} 0 1 0 ${2 * RADIUS} 0a${RADIUS} ${RADIUS} 0 1 0 ${-2 * RADIUS} 0z`;
    }
  draw("path", { d: holes, "fill-rule": "evenodd", class: "front", stroke: "#27496d", "stroke-width": 12, "stroke-linejoin": "round" }, board);
  const rings = draw("g", {}, board);
  const spots = names.map((name, action) => {
    const x = LEFT + action * CELL;
    const spot = {
      bar: draw("rect", { x: x + 22, width: CELL - 44, y: top - 20, height: 0, rx: 4, class: "policy" }, board),
      percent: draw("text", { x: x + CELL / 2, y: top - 26, class: "percent" }, board),
      hint: draw("path", { d: `M${x + 26} ${top - 14}h48l-24 38z`, class: "hint" }, board),
      lane: null,
      show: (share) => {
        const height = share * HEIGHT_OF_BARS;
        spot.bar.setAttribute("y", top - 20 - height);
        spot.bar.setAttribute("height", height);
        spot.percent.setAttribute("y", top - 26 - height);
      },
    };
    draw("text", { x: x + CELL / 2, y: top + tall + 50, class: "label" }, board).textContent = name;
    spot.lane = draw("g", {}, board);
    draw("rect", { x, y: top - 10, width: CELL, height: tall + 22, rx: 8 }, spot.lane);
    return spot;
  });
  return {
    middle, pieces, rings, spots, drawPiece: drawDisc, piece: "disc",
    size: [width + 40, tall + 190],
    recorded: [0, top - 24, width + 40, tall + 84], // without the room for bars
    target: (action, cells) => [rows - 1 - cells.filter(([, column]) => column === action).length, action],
    ring: (cell, name) => { const [cx, cy] = middle(cell); draw("circle", { cx, cy, r: RADIUS + 2, class: name }, rings); },
    enter: (disc, cell, delay) => {
      const far = middle(cell)[1] - top + CELL;
      disc.animate([{ transform: `translateY(${-far}px)` }, { transform: "translateY(0)" }],
        { duration: 90 + far / 3, delay, easing: "cubic-bezier(.45,.05,.85,.6)", fill: "backwards" });
    },
  };
};

const markBoard = ({ rows, columns, names, places }) => {
  const top = 20, gap = 3, side = CELL - 2 * gap, width = columns * CELL, tall = rows * CELL;
  const middle = ([row, column]) => [LEFT + (column + 0.5) * CELL, top + (row + 0.5) * CELL];
  const square = ([row, column], attributes, parent) =>
    draw("rect", { x: LEFT + column * CELL + gap, y: top + row * CELL + gap, width: side, height: side, rx: 5, ...attributes }, parent);
  draw("rect", { x: LEFT - 6, y: top - 6, width: width + 12, height: tall + 12, rx: 10, class: "front" }, board);
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++) square([row, column], { class: "back" }, board);
  const notes = draw("g", {}, board), pieces = draw("g", { class: "pieces" }, board), rings = draw("g", {}, board);
  const spots = names.map((name, action) => {
    const [row, column] = places[action], x = LEFT + column * CELL + 12, y = top + row * CELL;
    const spot = {
      bar: draw("rect", { x, width: 0, y: y + 80, height: 8, rx: 2, class: "policy" }, notes),
      percent: draw("text", { x: x + 38, y: y + 74, class: "percent small" }, notes),
      hint: square(places[action], { class: "hint outline" }, board),
      label: draw("text", { x: x + 3, y: y + 25, class: "label small" }, notes),
      lane: null,
      show: (share) => spot.bar.setAttribute("width", share * (CELL - 24)),
    };
    spot.label.textContent = name;
    spot.lane = draw("g", {}, board);
    square(places[action], {}, spot.lane);
    return spot;
  });
  return {
    middle, pieces, rings, spots, drawPiece: drawMark, piece: "mark",
    size: [width + 40, tall + 40],
    recorded: [0, 0, width + 40, tall + 40],
    target: (action) => places[action],
    ring: (cell, name) => square(cell, { class: name }, rings),
    enter: (mark, _, delay) => mark.animate([{ opacity: 0 }, { opacity: 1 }], { duration: 150, delay, fill: "backwards" }),
  };
};

let kit = null, place = "";
const build = (look) => {
  kit = look.kind === "discs" ? discBoard(look) : markBoard(look);
  place = look.place;
  kit.spots.forEach(({ lane }, action) => {
    const name = place[0].toUpperCase() + place.slice(1);
    const attributes = { class: "lane", role: "button", tabindex: 0, "aria-label": `${name} ${look.names[action]}`, "data-action": action };
    for (const [key, value] of Object.entries(attributes)) lane.setAttribute(key, value);
  });
  kit.names = look.names;
  element.style.setProperty("--ratio", kit.size[0] / kit.size[1]);
  board.setAttribute("viewBox", `0 0 ${kit.size.join(" ")}`);
  board.classList.add(look.kind);
  board.setAttribute("aria-label", `Board with ${look.rows} rows and ${look.columns} columns`);
  for (const seat of [0, 1]) {
    const icon = find(`.player[data-seat="${seat}"] svg`);
    icon.setAttribute("class", `${kit.piece}${seat}`);
    kit.drawPiece(seat, 44, icon);
  }
};
BUTTONS.forEach((kind) => find(`[data-ask="${kind}"]`).addEventListener("click", () => press(kind)));

let view = null, shown = [], ply = 0, busy = false, waiting = null, paused = false, timer = null, patience = null;

const put = (cells) => {
  // Show `cells`, each with row, column and seat. Pieces that were not there before enter.
  const grows = shown.length <= cells.length && shown.every((cell, index) => same(cell, cells[index]));
  if (!grows) kit.pieces.replaceChildren();
  const before = grows ? shown.length : 0;
  cells.slice(before).forEach(([row, column, seat], index) => {
    const [x, y] = kit.middle([row, column]);
    const piece = draw("g", { class: `${kit.piece}${seat}` }, draw("g", { transform: `translate(${x} ${y})` }, kit.pieces));
    kit.drawPiece(seat, RADIUS, piece);
    if (grows && !still && cells.length - before < 3) kit.enter(piece, [row, column], 160 * index);
  });
  shown = cells;
};

const mark = (cells, winning) => {
  kit.rings.replaceChildren();
  for (const cell of winning.length ? winning : cells.slice(-1)) kit.ring(cell, winning.length ? "ring line" : "ring");
};

const showOpinion = (policy, chance) => {
  kit.spots.forEach((spot, action) => {
    spot.show(policy ? policy[action] : 0);
    spot.percent.textContent = policy && policy[action] >= 0.005 ? `${Math.round(100 * policy[action])}%` : "";
  });
  const box = find(".chance"), known = chance !== null && chance !== undefined;
  box.classList.toggle("unknown", !known);
  if (!known) return;
  const first = Math.round(100 * chance);
  find(".chance i").style.width = `${first}%`;
  const [left, by, right] = find(".figures").children;
  left.textContent = `${first}%`;
  right.textContent = `${100 - first}%`;
  by.textContent = view.over || !view.analyst ? "" : `chance to win, says ${view.analyst}`;
  box.setAttribute("aria-label", `Chance of winning: ${view.names[0]} ${first} %, ${view.names[1]} ${100 - first} %`);
};

const showOpen = (open) => kit.spots.forEach(({ lane }, action) => {
  lane.classList.toggle("open", open.includes(action));
  lane.setAttribute("aria-disabled", String(!open.includes(action)));
});

const showHint = (hint) => kit.spots.forEach((spot, action) => spot.hint.classList.toggle("shown", action === hint));

const showLabels = () => kit.spots.forEach(({ label }, action) => {
  // A label inside a cell gives way to a mark.
  const [row, column] = view.board.places[action];
  label?.classList.toggle("covered", shown.some((cell) => cell[0] === row && cell[1] === column));
});

const render = () => {
  if (!view) return;
  const recorded = Boolean(view.recorded);
  const cells = recorded ? view.cells.slice(0, ply) : view.cells;
  const atEnd = cells.length === view.cells.length;
  put(cells);
  mark(cells, atEnd ? view.winning : []);
  showLabels();
  board.dataset.moves = recorded ? view.texts[ply] : view.moves;
  const mover = atEnd ? (view.over ? null : view.mover) : view.cells[ply][2];
  for (const player of element.querySelectorAll(".player")) {
    const seat = Number(player.dataset.seat);
    player.querySelector("b").textContent = view.names[seat];
    player.classList.toggle("mover", seat === mover);
  }
  const given = recorded && cells.length && cells.length <= view.opening ? " (opening)" : "";
  find(".status").textContent = recorded && !atEnd ? `Move ${cells.length} of ${view.cells.length}${given}` : view.status;
  find(".notice").textContent = view.notice || (view.hint === null || view.hint === undefined ? "" : `Hint: ${place} ${kit.names[view.hint]}.`);
  showOpinion(view.policy, view.chance);
  find(".chance").style.display = recorded ? "none" : "";
  board.setAttribute("viewBox", recorded ? kit.recorded.join(" ") : `0 0 ${kit.size.join(" ")}`);
  showHint(view.hint);
  showOpen(view.open || []);
  find(".steps").classList.toggle("shown", recorded);
  find(".actions").classList.toggle("shown", !recorded);
  if (!view.watch) paused = false;
  find("[data-pause]").hidden = !view.watch;
  find("[data-pause]").textContent = paused ? "Resume" : "Pause";
  board.dataset.turn = view.turn;
  clearTimeout(timer);
  if (view.auto && !paused) timer = setTimeout(() => element.isConnected && ask("step"), MILLISECONDS_BETWEEN_MOVES);
};

const ask = (event, data = {}) => {
  // One request at a time, so that a late answer cannot replace a newer one. Of those made meanwhile, the last one waits.
  clearTimeout(timer);
  if (busy) { waiting = [event, data]; return; }
  busy = true;
  element.setAttribute("aria-busy", "true");
  patience = setTimeout(goOn, PATIENCE);
  trigger(event, data);
};

const goOn = () => {
  // Called with an answer, or after waiting too long for one: then the board shows the last view again.
  busy = false;
  clearTimeout(patience);
  element.setAttribute("aria-busy", "false");
  render();
  const next = waiting;
  waiting = null;
  if (next) ask(...next);
};

const take = () => {
  const before = view, value = props.value ? JSON.parse(JSON.stringify(props.value)) : null; // a copy, because Gradio changes props in place
  if (value && !kit) build(value.board);
  view = value?.cells ? value : null; // the first value of all only says how the board looks
  if (view?.recorded && view.turn !== before?.turn) ply = view.cells.length;
  goOn();
};

const drop = (action) => {
  if (!view || view.recorded || busy || view.over) return;
  if (view.open.includes(action)) {
    // The visitor's piece appears at once, before the server's answer.
    put([...view.cells, [...kit.target(action, view.cells), view.mover]]);
    mark(shown, []);
    showLabels();
    showOpinion(null, null);
    showHint(null);
  }
  ask("drop", { action });
};

const press = (kind) => {
  if (kind === "undo") paused = true; // a visitor who takes a move back wants to look at the position
  if (kind === "restart") paused = false;
  ask(kind);
};

const step = (kind) => {
  if (!view?.recorded) return;
  if (kind === "play") { trigger("take_over", { moves: view.texts[ply] }); return; }
  const last = view.cells.length;
  ply = { first: 0, back: Math.max(0, ply - 1), on: Math.min(last, ply + 1), last }[kind];
  render();
};

element.addEventListener("click", (event) => {
  const lane = event.target.closest(".lane"), stepper = event.target.closest("[data-step]");
  if (lane) drop(Number(lane.dataset.action));
  else if (stepper) step(stepper.dataset.step);
  else if (event.target.closest("[data-pause]")) { paused = !paused; render(); }
});

const keys = (event) => {
  if (!element.isConnected) { document.removeEventListener("keydown", keys); return; }
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || !board.getClientRects().length) return;
  const focused = document.activeElement;
  if (focused && focused.matches("input:not([type=radio]):not([type=checkbox]):not([type=range]), textarea, select, [contenteditable]")) return;
  if (view?.recorded) {
    const kind = { ArrowLeft: "back", ArrowRight: "on", Home: "first", End: "last" }[event.key];
    if (kind && focused.type !== "range") { event.preventDefault(); step(kind); }
  } else if (/^[1-9]$/.test(event.key) && kit && Number(event.key) <= kit.spots.length) drop(Number(event.key) - 1);
  else if ((event.key === "Enter" || event.key === " ") && focused?.closest(".lane") && element.contains(focused)) {
    event.preventDefault();
    drop(Number(focused.dataset.action));
  }
};
document.addEventListener("keydown", keys);
watch("value", take);
take();
