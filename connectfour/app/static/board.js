// The board of one visitor. `props.value` is a view (see connectfour/app/sitting.py), and `trigger` requests the next one.
const ROWS = 6, COLUMNS = 7, CELL = 100, LEFT = 20, TOP = 130, RADIUS = 40;
const HEIGHT_OF_BARS = 78, MILLISECONDS_BETWEEN_MOVES = 900, PATIENCE = 10000;
const BUTTONS = ["restart", "undo", "hint", "swap"]; // Gradio looks up the names of events in this script
const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
const find = (selector) => element.querySelector(selector);

const draw = (name, attributes, parent) => {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  parent.append(node);
  return node;
};
const middle = ([row, column]) => [LEFT + (column + 0.5) * CELL, TOP + (row + 0.5) * CELL];
const drawDisc = (seat, radius, parent) => {
  draw("circle", { r: radius, class: "fill" }, parent);
  const arm = radius * 0.34;
  if (seat === 0) draw("circle", { r: radius * 0.5, class: "shape" }, parent);
  else draw("path", { d: `M${-arm} ${-arm}L${arm} ${arm}M${-arm} ${arm}L${arm} ${-arm}`, class: "shape" }, parent);
};
const cellsOf = (moves) => {
  const height = Array(COLUMNS).fill(0);
  return [...moves].map((digit) => [ROWS - 1 - height[digit - 1]++, digit - 1]);
};

// What never changes, from back to front: discs fall behind the board.
const board = find(".board");
const width = COLUMNS * CELL, tall = ROWS * CELL;
draw("rect", { x: LEFT, y: TOP, width, height: tall, class: "back" }, board);
const clip = draw("clipPath", { id: `clip-${Math.random().toString(36).slice(2)}` }, board);
draw("rect", { x: LEFT, y: TOP, width, height: tall }, clip);
const discs = draw("g", { "clip-path": `url(#${clip.id})` }, board);
let holes = `M${LEFT - 12} ${TOP - 10}h${width + 24}v${tall + 22}h${-width - 24}z`;
for (let row = 0; row < ROWS; row++)
  for (let column = 0; column < COLUMNS; column++) {
    const [x, y] = middle([row, column]);
    holes += `M${x - RADIUS} ${y}a${RADIUS} ${RADIUS} 0 1 0 ${2 * RADIUS} 0a${RADIUS} ${RADIUS} 0 1 0 ${-2 * RADIUS} 0z`;
  }
draw("path", { d: holes, "fill-rule": "evenodd", class: "front", stroke: "#27496d", "stroke-width": 12, "stroke-linejoin": "round" }, board);
const marks = draw("g", {}, board);
const bars = [], percents = [], hints = [], columns = [];
for (let column = 0; column < COLUMNS; column++) {
  const x = LEFT + column * CELL;
  bars.push(draw("rect", { x: x + 22, width: CELL - 44, y: TOP - 20, height: 0, rx: 4, class: "policy" }, board));
  percents.push(draw("text", { x: x + CELL / 2, y: TOP - 26, class: "percent" }, board));
  hints.push(draw("path", { d: `M${x + 26} ${TOP - 14}h48l-24 38z`, class: "hint" }, board));
  draw("text", { x: x + CELL / 2, y: TOP + tall + 50, class: "label" }, board).textContent = column + 1;
  const group = draw("g", { class: "lane", role: "button", tabindex: 0, "aria-label": `Column ${column + 1}`, "data-column": column }, board);
  draw("rect", { x, y: TOP - 10, width: CELL, height: tall + 22, rx: 8 }, group);
  columns.push(group);
}
BUTTONS.forEach((kind) => find(`[data-ask="${kind}"]`).addEventListener("click", () => press(kind)));
for (const seat of [0, 1]) {
  const icon = find(`.player[data-seat="${seat}"] svg`);
  icon.setAttribute("class", `disc${seat}`);
  drawDisc(seat, 44, icon);
}

let view = null, shown = "", ply = 0, busy = false, waiting = null, paused = false, timer = null, patience = null;

const place = (moves) => {
  // Show the position after `moves`. Discs that were not there before fall into place.
  const grows = moves.startsWith(shown);
  if (!grows) discs.replaceChildren();
  const cells = cellsOf(moves);
  for (let index = grows ? shown.length : 0; index < cells.length; index++) {
    const [x, y] = middle(cells[index]);
    const spot = draw("g", { transform: `translate(${x} ${y})` }, discs);
    const disc = draw("g", { class: `disc${index % 2}` }, spot);
    drawDisc(index % 2, RADIUS, disc);
    if (grows && !still && moves.length - shown.length < 3) {
      const far = y - TOP + CELL, wait = 160 * (index - shown.length);
      disc.animate([{ transform: `translateY(${-far}px)` }, { transform: "translateY(0)" }],
        { duration: 90 + far / 3, delay: wait, easing: "cubic-bezier(.45,.05,.85,.6)", fill: "backwards" });
    }
  }
  shown = moves;
  board.dataset.moves = moves;
};

const mark = (moves, winning) => {
  marks.replaceChildren();
  const cells = cellsOf(moves);
  const rings = winning.length ? winning : cells.slice(-1);
  for (const cell of rings) {
    const [cx, cy] = middle(cell);
    draw("circle", { cx, cy, r: RADIUS + 2, class: winning.length ? "ring four" : "ring" }, marks);
  }
};

const showOpinion = (policy, chance) => {
  bars.forEach((bar, column) => {
    const height = policy ? policy[column] * HEIGHT_OF_BARS : 0;
    bar.setAttribute("y", TOP - 20 - height);
    bar.setAttribute("height", height);
    percents[column].setAttribute("y", TOP - 26 - height);
    percents[column].textContent = policy && policy[column] >= 0.005 ? `${Math.round(100 * policy[column])}%` : "";
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

const showColumns = (open) => columns.forEach((group, column) => {
  group.classList.toggle("open", open.includes(column));
  group.setAttribute("aria-disabled", String(!open.includes(column)));
});

const render = () => {
  if (!view) return;
  const recorded = Boolean(view.recorded);
  const moves = recorded ? view.moves.slice(0, ply) : view.moves;
  const atEnd = moves.length === view.moves.length;
  place(moves);
  mark(moves, atEnd ? view.winning : []);
  for (const player of element.querySelectorAll(".player")) {
    const seat = Number(player.dataset.seat);
    player.querySelector("b").textContent = view.names[seat];
    player.classList.toggle("mover", !(atEnd && view.over) && moves.length % 2 === seat);
  }
  const given = recorded && moves.length && moves.length <= view.opening ? " (opening)" : "";
  find(".status").textContent = recorded && !atEnd ? `Move ${moves.length} of ${view.moves.length}${given}` : view.status;
  find(".notice").textContent = view.notice || (view.hint === null || view.hint === undefined ? "" : `Hint: column ${view.hint + 1}.`);
  showOpinion(view.policy, view.chance);
  find(".chance").style.display = recorded ? "none" : "";
  board.setAttribute("viewBox", recorded ? "0 106 740 684" : "0 0 740 790");
  hints.forEach((hint, column) => hint.classList.toggle("shown", column === view.hint));
  showColumns(view.open || []);
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
  const before = view;
  view = props.value ? JSON.parse(JSON.stringify(props.value)) : null; // a copy, because Gradio changes props in place
  if (view?.recorded && view.turn !== before?.turn) ply = view.moves.length;
  goOn();
};

const drop = (column) => {
  if (!view || view.recorded || busy || view.over) return;
  if (view.open.includes(column)) {
    // The visitor's disc falls at once, before the server's answer.
    place(view.moves + (column + 1));
    mark(shown, []);
    showOpinion(null, null);
    hints.forEach((hint) => hint.classList.remove("shown"));
  }
  ask("drop", { column });
};

const press = (kind) => {
  if (kind === "undo") paused = true; // a visitor who takes a move back wants to look at the position
  if (kind === "restart") paused = false;
  ask(kind);
};

const step = (kind) => {
  if (!view?.recorded) return;
  if (kind === "play") { trigger("take_over", { moves: view.moves.slice(0, ply) }); return; }
  ply = { first: 0, back: Math.max(0, ply - 1), on: Math.min(view.moves.length, ply + 1), last: view.moves.length }[kind];
  render();
};

element.addEventListener("click", (event) => {
  const column = event.target.closest(".lane"), stepper = event.target.closest("[data-step]");
  if (column) drop(Number(column.dataset.column));
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
  } else if (/^[1-7]$/.test(event.key)) drop(Number(event.key) - 1);
  else if ((event.key === "Enter" || event.key === " ") && focused?.closest(".lane") && element.contains(focused)) {
    event.preventDefault();
    drop(Number(focused.dataset.column));
  }
};
document.addEventListener("keydown", keys);
watch("value", take);
take();
