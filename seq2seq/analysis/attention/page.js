// What the page does: lay out the pairs, light up weights, keep the address. `data` is as attention_page.py writes it.
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const form = document.getElementById("choices");
const choice = { layer: data.layer, head: data.head, level: "words" };  // layers and heads from 1, 0 for the mean
const shown = data.pairs.map(() => null);  // what a pair's tokens show: { side, index }
let kept = null;                           // the token that stays lit: { pair, side, index }

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

// --- Weights ---------------------------------------------------------------------------------------------------------

function unpack(pair) {  // 16 bits a weight, the lower byte first; 65535 is 1
  const bytes = Uint8Array.from(atob(pair.weights), (c) => c.charCodeAt(0));
  return Float32Array.from({ length: bytes.length / 2 }, (_, i) => (bytes[2 * i] + 256 * bytes[2 * i + 1]) / 65535);
}

function chosenMaps() {  // positions of the chosen layers' and heads' maps in a pair's weights
  const maps = [];
  let first = 0;
  data.heads.forEach((heads, layer) => {
    if (choice.layer === 0 || choice.layer === layer + 1)
      for (let head = 0; head < heads; head++) if (choice.head === 0 || choice.head === head + 1) maps.push(first + head);
    first += heads;
  });
  return maps;
}

function pieceWeights(pair) {  // rows of target pieces: the mean of the chosen maps
  pair.unpacked ??= unpack(pair);
  const columns = pair.source.pieces.length, rows = pair.target.pieces.length, maps = chosenMaps();
  return Array.from({ length: rows }, (_, t) => Array.from({ length: columns }, (_, s) =>
    maps.reduce((sum, map) => sum + pair.unpacked[(map * rows + t) * columns + s], 0) / maps.length));
}

function shares(side) {  // of each piece, the share that each of its words has
  const counts = side.pieces.map(() => 0);
  side.of.forEach((pieces) => pieces.forEach((piece) => counts[piece]++));
  return counts.map((count) => 1 / Math.max(count, 1));
}

function weightsOf(pair) {  // rows of target units: summed over a source word's pieces, averaged over a target word's
  const key = JSON.stringify(choice);
  if (pair.key === key) return pair.matrix;
  let matrix = pieceWeights(pair);
  if (choice.level === "words") {
    const share = shares(pair.source);
    const summed = matrix.map((row) =>
      pair.source.of.map((pieces) => pieces.reduce((sum, piece) => sum + row[piece] * share[piece], 0)));
    matrix = pair.target.of.map((pieces) => pair.source.of.map((_, s) =>
      pieces.reduce((sum, piece) => sum + summed[piece][s], 0) / Math.max(pieces.length, 1)));
  }
  pair.largest = Math.max(1e-6, ...matrix.map((row) => Math.max(...row)));
  pair.key = key;
  return (pair.matrix = matrix);
}

// --- Tokens ----------------------------------------------------------------------------------------------------------

function line(number, side) {
  const names = data.pairs[number][side][choice.level];
  const made = element("div", `line ${side}`);
  made.setAttribute("role", "toolbar");
  made.setAttribute("aria-label", `${side} of sentence ${number}`);
  made.dir = "auto";
  names.forEach((name, index) => {
    const token = element("button", index === names.length - 1 && !(data.pooled && side === "source") ? "token end" : "token");
    token.type = "button";
    token.tabIndex = index ? -1 : 0;
    Object.assign(token.dataset, { pair: number, side, index });
    token.append(Object.assign(element("span", "text", name), { dir: "auto" }), element("span", "weight"));
    made.append(token);
  });
  return made;
}

function build(number) {
  const pair = data.pairs[number], section = document.getElementById(`s${number}`);
  section.replaceChildren();
  const link = element("a", "number", `s${number}`);
  link.href = `#s${number}`;
  section.append(link);
  if (pair.weights === undefined) {
    section.append(element("p", "plain", "(empty source: no attention weights)"));
    return;
  }
  if (data.pooled) section.append(element("p", "plain", pair.source.text));
  const reading = element("output", "reading");
  reading.setAttribute("aria-live", "polite");
  section.append(line(number, "source"), line(number, "target"), reading);
}

function buildAll() {
  const main = document.getElementById("pairs");
  main.replaceChildren(...data.pairs.map((_, number) => Object.assign(element("section", "pair"), { id: `s${number}` })));
  data.pairs.forEach((_, number) => { shown[number] = null; build(number); });
}

const tokens = (number, side) => [...document.querySelectorAll(`#s${number} .${side} .token`)];

// --- Light -----------------------------------------------------------------------------------------------------------

function show(number, side, index) {  // light up what the token looked at (target) or was looked at by (source)
  clear(number);
  const pair = data.pairs[number], matrix = weightsOf(pair), other = side === "target" ? "source" : "target";
  const weights = side === "target" ? matrix[index] : matrix.map((row) => row[index]);
  const turn = +getComputedStyle(document.documentElement).getPropertyValue("--turn");
  tokens(number, side)[index].classList.add("chosen");
  tokens(number, other).forEach((token, i) => {
    const share = weights[i] / pair.largest;
    token.classList.add("lit");
    token.style.background = `color-mix(in srgb, var(--weight) ${(100 * share).toFixed(1)}%, transparent)`;
    token.style.color = share > turn ? "var(--on-weight)" : "";
    token.lastChild.textContent = weights[i] >= 0.005 ? weights[i].toFixed(2) : "";
  });
  document.querySelector(`#s${number} .reading`).textContent = reading(pair, side, index, weights);
  shown[number] = { side, index };
}

function reading(pair, side, index, weights) {  // the same in words
  const other = side === "target" ? "source" : "target", names = pair[other][choice.level];
  const heaviest = weights.map((weight, i) => [weight, names[i]]).sort((a, b) => b[0] - a[0]).slice(0, 4);
  const parts = heaviest.filter(([weight]) => weight >= 0.005).map(([weight, name]) => `${name} ${weight.toFixed(3)}`);
  let text = `${pair[side][choice.level][index]} ${side === "target" ? "←" : "→"} ${parts.join(" · ") || "nothing"}`;
  if (choice.level === "pieces" || index >= pair[side].words.length - 1) return text;
  for (const [name, links] of [["linked", pair.links], ["gold", pair.gold]]) {
    if (!links) continue;
    const ends = links.filter((link) => link[side === "target" ? 1 : 0] === index).map((link) => names[link[side === "target" ? 0 : 1]]);
    text += ` | ${name}: ${ends.join(", ") || "nothing"}`;
  }
  return text;
}

function clear(number) {
  if (!shown[number]) return;
  document.querySelectorAll(`#s${number} .token`).forEach((token) => {
    token.classList.remove("chosen", "lit");
    token.style.background = token.style.color = "";
    token.lastChild.textContent = "";
  });
  document.querySelector(`#s${number} .reading`).textContent = "";
  shown[number] = null;
}

function rest(number) {  // what a pair shows when nothing points at it
  if (kept && kept.pair === number) show(number, kept.side, kept.index);
  else clear(number);
}

function keep(token) {  // a second click lets go again
  const before = kept, place = token && { pair: +token.dataset.pair, side: token.dataset.side, index: +token.dataset.index };
  kept = JSON.stringify(place) === JSON.stringify(before) ? null : place;
  if (before) rest(before.pair);
  if (kept) rest(kept.pair);
  writeAddress();
}

// --- Address: #s0t3 is word 3 of target 0, #s0s3 of its source; &layer=…&head=…&level=… follow ------------------------

function writeAddress() {
  const words = kept ? [`s${kept.pair}${kept.side[0]}${kept.index}`] : [];
  if (choice.layer !== data.layer || choice.head !== data.head) words.push(`layer=${choice.layer}`, `head=${choice.head}`);
  if (choice.level !== "words") words.push(`level=${choice.level}`);
  history.replaceState(null, "", words.length ? `#${words.join("&")}` : location.pathname);
}

function readAddress() {
  const [place, ...settings] = location.hash.slice(1).split("&");
  const given = Object.fromEntries([place, ...settings].filter((word) => word.includes("=")).map((word) => word.split("=")));
  if (+given.layer >= 0 && +given.layer <= data.heads.length) choice.layer = +given.layer;
  if (+given.head >= 0 && +given.head <= Math.max(...data.heads)) choice.head = +given.head;
  if (["words", "pieces"].includes(given.level)) choice.level = given.level;
  for (const name of ["layer", "head", "level"]) form.elements[name].value = choice[name];
  buildAll();
  const found = /^s(\d+)(?:([st])(\d+))?$/.exec(place);
  if (!found || !data.pairs[+found[1]]) return;
  const token = found[2] && tokens(+found[1], found[2] === "t" ? "target" : "source")[+found[3]];
  kept = token ? { pair: +found[1], side: token.dataset.side, index: +found[3] } : null;
  if (kept) rest(kept.pair);
  (token || document.getElementById(`s${found[1]}`)).scrollIntoView({ block: token ? "center" : "start" });
}

// --- Events ----------------------------------------------------------------------------------------------------------

const pairs = document.getElementById("pairs");
const tokenOf = (event) => event.target.closest(".token");
const showToken = (token) => show(+token.dataset.pair, token.dataset.side, +token.dataset.index);

pairs.addEventListener("pointerover", (event) => {
  const token = tokenOf(event), left = shown.findIndex((what, number) => what && number !== kept?.pair && number !== +token?.dataset.pair);
  if (left >= 0) clear(left);
  if (token) showToken(token);
});
pairs.addEventListener("pointerout", (event) => { const token = tokenOf(event); if (token) rest(+token.dataset.pair); });
pairs.addEventListener("focusin", (event) => { const token = tokenOf(event); if (token?.matches(":focus-visible")) showToken(token); });
pairs.addEventListener("focusout", (event) => { const token = tokenOf(event); if (token) rest(+token.dataset.pair); });
pairs.addEventListener("click", (event) => { const token = tokenOf(event); if (token) keep(token); });
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") keep(null);
  const token = event.target.closest?.(".token");
  if (!token || event.ctrlKey || event.altKey || event.metaKey) return;
  const lines = [...document.querySelectorAll(".line")], here = lines.indexOf(token.parentElement);
  const index = +token.dataset.index, ahead = getComputedStyle(token.parentElement).direction === "rtl" ? -1 : 1;
  const moves = {
    ArrowRight: [here, index + ahead], ArrowLeft: [here, index - ahead], ArrowDown: [here + 1, index],
    ArrowUp: [here - 1, index], Home: [here, 0], End: [here, Infinity],
  };
  const [row, column] = moves[event.key] ?? [];
  const next = lines[row]?.children;
  if (!next) return;
  event.preventDefault();
  next[Math.max(0, Math.min(column, next.length - 1))].focus();
});
form.addEventListener("change", () => {
  choice.layer = +form.elements.layer.value;
  choice.head = +form.elements.head.value;
  if (form.elements.level.value !== choice.level) {
    choice.level = form.elements.level.value;
    kept = null;
    buildAll();
  } else if (kept) rest(kept.pair);
  writeAddress();
});
form.addEventListener("submit", (event) => event.preventDefault());
window.addEventListener("hashchange", readAddress);

for (const [name, count] of [["layer", data.heads.length], ["head", Math.max(...data.heads)]]) {
  const select = form.elements[name];
  const several = `mean of all ${count}`;
  select.append(...(count > 1 ? [new Option(several, 0)] : []), ...Array.from({ length: count }, (_, i) => new Option(i + 1, i + 1)));
  select.closest("label").hidden = count === 1;
  if (count === 1) data[name] = choice[name] = 1;
}
document.getElementById("facts").textContent = data.facts;
readAddress();
