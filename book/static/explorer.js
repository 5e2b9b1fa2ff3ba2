/* The explorer: one gamma, one moment and one kind of learning rate; all panels follow.

   The numbers are in window.GG_EXPLORER: book/explorer.py took them from the run records when the
   book was built, and explains their layout. Nothing is fetched, so the page works from a folder.
   A panel without a record at exactly this gamma shows the nearest one, and its title says so. */
"use strict";

(() => {
  const DATA = window.GG_EXPLORER;
  const find = (id) => document.getElementById(`gx-${id}`);
  const root = find("root");
  if (!root) return;

  const gammas = DATA?.gammas ?? [];
  const clock = measuredSteps();
  const state = { gamma: nearest(gammas, 0.8), time: clock.length - 1, rate: "common", passage: 0 };
  let timer = null; // of the play button
  const gamma = () => gammas[state.gamma];
  const step = () => clock[state.time];

  // ---- numbers and words ------------------------------------------------------------------------

  /** Every step at which a GPT on text was measured; where there is none, those of the Emb-MLP. */
  function measuredSteps() {
    const text = [DATA?.loss, DATA?.ranks].filter(Boolean);
    const panels = text.length ? text : [DATA?.map].filter(Boolean);
    const all = panels.flatMap(ended).flatMap((entry) => entry.steps);
    return [...new Set(all)].sort((a, b) => a - b);
  }

  /** All entries of a panel, of both kinds of learning rate, that have numbers. */
  function ended(panel) {
    return Object.values(panel.roles).flat().filter((entry) => entry.runs);
  }

  /** The index of the number nearest to `value`; of two that are equally near, the first. */
  function nearest(numbers, value) {
    const far = numbers.map((number) => Math.abs(number - value));
    return far.findIndex((distance) => distance <= Math.min(...far) + 1e-9);
  }

  const signed = (x, digits) => `${x < 0 ? "−" : "+"}${Math.abs(x).toFixed(digits)}`;
  const whole = (x) => x.toLocaleString("en-US");

  /** What the line through (steps, values) has at a step; `scale` is that of its axis. */
  function along(scale, steps, values, at) {
    const next = steps.findIndex((s) => s >= at);
    if (next === -1) return values.at(-1);
    if (steps[next] === at || next === 0) return values[next];
    const [a, b] = [scale(steps[next - 1]), scale(steps[next])];
    return values[next - 1] + ((values[next] - values[next - 1]) * (scale(at) - a)) / (b - a);
  }

  // ---- drawing ----------------------------------------------------------------------------------

  const [LEFT, RIGHT, TOP, BOTTOM] = [46, 328, 10, 192]; // of the axes, in a box of 340 x 230
  const STROKES = ["none", "7 3", "2 3", "8 3 2 3"]; // lines differ by more than colour

  const linear = (low, high) => (x) => (x - low) / (high - low || 1);
  const logarithmic = (last) => (x) => Math.log1p(x) / Math.log1p(last); // step 0 has a place too
  const stroke = (i) => ({ stroke: `var(--gx-${i})`, "stroke-dasharray": STROKES[i % 4] });

  function make(name, attributes, ...children) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  }

  /** Axes on an empty SVG, and what draws on them. The scales x and y give numbers in [0, 1]. */
  function axes(svg, { x, y, xticks, yticks, xlabel, ylabel }) {
    const px = (value) => LEFT + x(value) * (RIGHT - LEFT);
    const py = (value) => BOTTOM - y(value) * (BOTTOM - TOP);
    const put = (name, attributes, ...children) => svg.append(make(name, attributes, ...children));
    const path = (xs, ys) => xs.map((v, i) => `${px(v).toFixed(1)},${py(ys[i]).toFixed(1)}`);
    put("rect", { x: LEFT, y: TOP, width: RIGHT - LEFT, height: BOTTOM - TOP, class: "gx-frame" });
    for (const t of yticks) {
      put("line", { x1: LEFT, x2: RIGHT, y1: py(t), y2: py(t), class: "gx-grid" });
      put("text", { x: LEFT - 5, y: py(t) + 4, class: "gx-end" }, t);
    }
    for (const t of xticks) put("text", { x: px(t), y: BOTTOM + 15, class: "gx-middle" }, t);
    put("text", { x: (LEFT + RIGHT) / 2, y: 224, class: "gx-middle" }, xlabel);
    const turned = `translate(13 ${(TOP + BOTTOM) / 2}) rotate(-90)`;
    put("text", { transform: turned, class: "gx-middle" }, ylabel);
    return {
      px, py, put,
      line: (xs, ys, look) => put("polyline", { points: path(xs, ys).join(" "), ...look }),
      band: (xs, low, high) => put("polygon", {
        points: [...path(xs, low), ...path(xs, high).reverse()].join(" "), class: "gx-band" }),
      cursor: (at) => put("line", {
        x1: px(at), x2: px(at), y1: TOP, y2: BOTTOM, class: "gx-cursor" }),
      dot: (at, value, i) => put("circle", {
        cx: px(at), cy: py(value), r: 5, fill: `var(--gx-${i})`, class: "gx-dot" }),
    };
  }

  /** About four round numbers from `low` to `high`. */
  function ticks(low, high) {
    const rough = (high - low) / 4 || 1;
    const power = 10 ** Math.floor(Math.log10(rough));
    const size = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough);
    const first = Math.ceil(low / size);
    const count = Math.floor(high / size + 1e-9) - first + 1;
    return Array.from({ length: count }, (_, i) => +((first + i) * size).toPrecision(6));
  }

  /** A small sign and its name, for the words below a chart. */
  function key(sign, words) {
    const span = document.createElement("span");
    span.className = "gx-key";
    span.append(make("svg", { viewBox: "-11 -6 22 12", "aria-hidden": "true" }, sign), words);
    return span;
  }

  // ---- the panels -------------------------------------------------------------------------------
  // Each draws one entry of its data. Returns what to say of it in the sentence for all panels, in
  // its own note, and (more) besides to who cannot see it.

  function drawLoss(svg, data, entry, entries) {
    const all = ended(data); // one scale for all gammas and both learning rates
    const low = Math.min(...all.flatMap((e) => e.low));
    const high = Math.max(...all.flatMap((e) => e.high));
    const x = linear(0, data.last);
    const chart = axes(svg, {
      x, y: linear(low - (high - low) / 20, high), xticks: ticks(0, data.last),
      yticks: ticks(low, high), xlabel: "training step",
      ylabel: "validation loss (nats per token)",
    });
    const others = entries.filter((e) => e.runs && e !== entry);
    others.forEach((e) => chart.line(e.steps, e.mean, { class: "gx-faint" }));
    chart.cursor(step());
    chart.band(entry.steps, entry.low, entry.high);
    chart.line(entry.steps, entry.mean, { class: "gx-chosen" });
    const loss = along(x, entry.steps, entry.mean, step());
    chart.dot(step(), loss, 0);
    const words = `${loss.toFixed(2)} nats per token`;
    const between = entry.steps.includes(step()) ? "" : ", between two measurements";
    const diverged = entry.diverged ? `, ${entry.diverged} more diverged` : "";
    return {
      said: `Validation loss ${words}${between}.`,
      note: [`Now ${words}. Mean of ${entry.runs} runs${diverged}; the band is their range. ` +
        "Faint: the other gammas."],
    };
  }

  function drawRanks(svg, data, entry) {
    const high = Math.max(...ended(data).flatMap((e) => Object.values(e.ranks).flat()));
    const x = logarithmic(data.last);
    const decades = [0, 1, 10, 100, 1000, 10000].filter((t) => t <= data.last / 2);
    const chart = axes(svg, {
      x, y: linear(0, high * 1.05), xticks: [...decades, data.last], yticks: ticks(0, high),
      xlabel: "training step (log scale)", ylabel: "stable rank (directions)",
    });
    chart.cursor(step());
    const now = Object.entries(entry.ranks).map(([kind, values], i) => {
      const value = along(x, entry.steps, values, step());
      chart.line(entry.steps, values, { class: "gx-line", ...stroke(i) });
      chart.dot(step(), value, i);
      const sample = make("line", { x1: -10, x2: 10, class: "gx-line", ...stroke(i) });
      return { sample, start: values[0].toFixed(1), words: `${kind} ${value.toFixed(1)}` };
    });
    return {
      said: `Stable rank of the ${now[0].words}, at the start ${now[0].start}.`,
      note: now.map(({ sample, words }) => key(sample, words)),
      more: now.slice(1).map(({ words }) => words).join(", "),
    };
  }

  function drawSpectrum(svg, data, entry) {
    const x = logarithmic(data.last);
    const at = (i, when) => along(x, entry.steps, entry.singular.map((row) => row[i]), when);
    const places = entry.singular[0].map((_, i) => i + 1);
    const chart = axes(svg, {
      x: linear(0.4, places.length + 0.6), y: linear(0, 1.05), xticks: places,
      yticks: [0, 0.5, 1], xlabel: "singular value, by size", ylabel: "share of the largest",
    });
    for (const i of places) {
      const [left, width] = [chart.px(i - 0.3), chart.px(0.6) - chart.px(0)];
      const [now, start] = [at(i - 1, step()), at(i - 1, 0)].map(chart.py);
      chart.put("rect", { x: left, y: now, width, height: BOTTOM - now, class: "gx-bar" });
      chart.put("line", { x1: left - 2, x2: left + width + 2, y1: start, y2: start,
        class: "gx-start" });
    }
    const [now, start] = [at(1, step()), at(1, 0)].map((value) => value.toFixed(2));
    return {
      more: `The second is ${now} of the first, at the start ${start}.`,
      note: ["Bars: now. Lines across: at the start. The faster the bars fall, the fewer " +
        "directions count."],
    };
  }

  /** The Emb-MLP trains for another number of steps: show its probe nearest to the same share. */
  function drawMap(svg, data, entry) {
    const share = step() / clock.at(-1);
    const i = nearest(entry.steps.map(Math.log1p), Math.log1p(share * data.last));
    const [first, second] = entry.shares[i].map((v) => `${Math.round(100 * v)} %`);
    const chart = axes(svg, {
      x: linear(-1.1, 1.1), y: linear(-1.1, 1.1), xticks: [], yticks: [],
      xlabel: `first axis (${first} of the variance)`, ylabel: `second axis (${second})`,
    });
    const names = Object.keys(data.groups);
    for (const name of [...names].reverse()) { // keys first: anchors lie on top
      const tokens = data.groups[name];
      const places = tokens.map((token) => entry.planes[i][entry.tokens.indexOf(token)]);
      const [xs, ys] = [0, 1].map((k) => places.map((place) => place[k]));
      if (name !== "keys") chart.line(xs, ys, { class: "gx-joined" });
      tokens.forEach((token, j) => {
        const parts = [sign(name, names), make("title", {}, `${name} ${token}`)];
        const end = name !== "keys" && (j === 0 || j === tokens.length - 1);
        if (end) parts.push(make("text", { x: 6, y: -4 }, token));
        const where = `translate(${chart.px(xs[j])} ${chart.py(ys[j])})`;
        chart.put("g", { transform: where, class: "gx-point" }, ...parts);
      });
    }
    const when = `step ${whole(entry.steps[i])} of ${whole(data.last)}`;
    return {
      said: `In the Emb-MLP's map at ${when} the first axis holds ${first} of the variance.`,
      note: [...names.map((name) => key(sign(name, names), name)), document.createElement("br"),
        `At ${when}; one run, seed ${entry.seed}. Lines join anchors by number.`],
    };
  }

  /** The mark of a group of tokens: colour and shape, so that either is enough. */
  function sign(name, names) {
    if (name === "keys") return make("circle", { r: 3, fill: "var(--gx-5)", class: "gx-dot" });
    const i = names.indexOf(name);
    return make("rect", { x: -4, y: -4, width: 8, height: 8, class: "gx-dot",
      transform: `rotate(${45 * (i % 2)})`, fill: `var(--gx-${[0, 1, 2, 3][i % 4]})` });
  }

  function drawTokens(text, data, entry) {
    const { pieces } = data.passages[state.passage];
    const [mine, usual] = [entry.here, entry.usual].map((losses) => losses[state.passage]);
    const count = { mine: 0, usual: 0, same: 0 };
    text.append("…", pieces[0]); // cut out of a text, often within a word; nothing predicts it
    mine.forEach((loss, i) => {
      const gain = usual[i] - loss;
      const better = gain > data.gap ? "mine" : gain < -data.gap ? "usual" : "same";
      const token = tinted(pieces[i + 1], better);
      token.title = `gamma ${data.usual} ${usual[i].toFixed(2)}, gamma ${entry.gamma} ` +
        `${loss.toFixed(2)} nats, gain ${signed(gain, 2)}`;
      count[better] += 1;
      text.append(token);
    });
    text.append("…");
    if (entry.gamma === data.usual) {
      const which = gamma() === data.usual ? "This is" : `The nearest on record is ${data.usual},`;
      return {
        said: "In the passage nothing is tinted: it is this gamma that tokens are compared with.",
        note: [`${which} the gamma that tokens are compared with: nothing to tint.`],
      };
    }
    const words = `${count.mine} tokens better with gamma ${entry.gamma}, ${count.usual} with ` +
      `gamma ${data.usual}`;
    return {
      said: `In the passage ${words}.`,
      note: [
        tinted(`Tinted: gamma ${entry.gamma} is better`, "mine"),
        ` by more than ${data.gap} nats. `,
        tinted(`Tinted and underlined: gamma ${data.usual} is better`, "usual"),
        ` by more than that. Here: ${words}. Over all ${data.count} passages the mean gain is ` +
        `${signed(entry.gain, 3)} nats per token (mean of ${entry.seeds} seeds).`,
      ],
    };
  }

  function tinted(words, better) {
    const span = document.createElement("span");
    span.className = `gx-${better}`;
    span.textContent = words;
    return span;
  }

  const PANELS = {
    loss: ["Loss", drawLoss, DATA?.loss, "loss"],
    ranks: ["Stable rank", drawRanks, DATA?.ranks, "stable rank"],
    map: ["Map of the embedding", drawMap, DATA?.map, "map"],
    spectrum: ["Singular values of the embedding", drawSpectrum, DATA?.ranks, "singular values"],
    tokens: ["Tokens, at the end of training", drawTokens, DATA?.tokens, "tokens"],
  };

  // ---- one state, all panels --------------------------------------------------------------------

  /** Draw one panel, with its title and note. Returns its gamma, its name, and what to say of it. */
  function show(name) {
    const [title, draw, data, short] = PANELS[name];
    const entries = data?.roles[state.rate] ?? [];
    const entry = entries[nearest(entries.map((e) => e.gamma), gamma())];
    const parts = ["title", "canvas", "note"].map((part) => find(`${name}-${part}`));
    const [heading, canvas, note] = parts;
    const other = entry && entry.gamma !== gamma();
    const near = other ? ` (nearest to ${gamma()} on record)` : "";
    heading.textContent = entry ? `${title}: ${data.model}, gamma ${entry.gamma}${near}` : title;
    let found = { note: [entry ? "All its runs diverged." : "There are no records of it."] };
    canvas.replaceChildren();
    if (entry?.runs) {
      found = draw(canvas, data, entry, entries);
      const edge = entry.resolved ? "" : ", at the edge of the grid";
      found.note.push(` Learning rate ${entry.rate}${edge}.`);
    }
    note.replaceChildren(...found.note);
    const words = [found.said, found.more].filter(Boolean).join(" ") || note.textContent;
    canvas.setAttribute("aria-label", `${heading.textContent}. ${words}`);
    return { gamma: entry?.gamma, short, said: found.said };
  }

  /** All that panels say, gamma by gamma, the slider's own first; once, which panels have it. */
  function inWords(panels) {
    const shown = panels.filter((panel) => panel.gamma !== undefined);
    const own = shown.filter((panel) => panel.gamma === gamma());
    const said = (list) => list.map((panel) => panel.said).filter(Boolean).join(" ");
    const names = own.map((panel) => panel.short).join(", ") || "nothing";
    const which = own.length === shown.length ? ""
      : `On record with gamma ${gamma()}: ${names}; the others show the nearest.`;
    const others = new Set(shown.map((panel) => panel.gamma));
    others.delete(gamma());
    const near = [...others].map((g) => [g, said(shown.filter((panel) => panel.gamma === g))])
      .filter(([, words]) => words).map(([g, words]) => `With gamma ${g}: ${words}`);
    return [said(own), which, ...near].filter(Boolean).join(" ");
  }

  function update() {
    const words = { gamma: `gamma ${gamma()}`, time: `step ${step()} of ${clock.at(-1)}` };
    for (const name of ["gamma", "time"]) {
      find(name).value = state[name];
      find(name).setAttribute("aria-valuetext", words[name]);
      find(`${name}-now`).textContent = words[name];
    }
    root.querySelector(`input[value=${state.rate}]`).checked = true;
    const said = inWords(Object.keys(PANELS).map(show));
    const head = `Gamma ${gamma()}, ${words.time}, with ${DATA.rates[state.rate]}.`;
    find("said").textContent = `${head} ${said}`;
  }

  /** A change by the reader: it goes into the address too, so that the setting can be linked to. */
  function change(what) {
    Object.assign(state, what);
    update();
    const place = { gamma: gamma(), step: step(), rate: state.rate, passage: state.passage + 1 };
    const tour = new URLSearchParams(location.hash.slice(1)).get("tour"); // its stop (tour.js)
    history.replaceState(null, "", `#${new URLSearchParams({ ...place, ...(tour && { tour }) })}`);
  }

  /** The setting that the address names; what it does not name stays as it is. */
  function restore() {
    const asked = new URLSearchParams(location.hash.slice(1));
    const number = (name) => parseFloat(asked.get(name)); // NaN, and so no change, if it is not one
    if (number("gamma") >= 0) state.gamma = nearest(gammas, number("gamma"));
    if (number("step") >= 0) state.time = nearest(clock, number("step"));
    if (Object.hasOwn(DATA.rates, asked.get("rate"))) state.rate = asked.get("rate");
    if (DATA.tokens?.passages[number("passage") - 1]) state.passage = number("passage") - 1;
    update();
  }

  function play() {
    const slow = matchMedia("(prefers-reduced-motion: reduce)").matches;
    find("play").textContent = "Stop";
    find("said").setAttribute("aria-live", "off"); // twice a second a new sentence is no help
    change({ time: step() === clock.at(-1) ? 0 : state.time });
    timer = setInterval(() => {
      if (step() === clock.at(-1)) stop();
      else change({ time: state.time + 1 });
    }, slow ? 1500 : 500);
  }

  function stop() {
    clearInterval(timer);
    timer = null;
    find("play").textContent = "Play";
    find("said").setAttribute("aria-live", "polite");
    update(); // the sentence at which it stopped is to be read
  }

  function start() {
    if (!clock.length) {
      find("none").hidden = false;
      return;
    }
    DATA.colours.forEach((colour, i) => root.style.setProperty(`--gx-${i}`, colour));
    const on = (name, event, act) => find(name).addEventListener(event, act);
    find("gamma").max = gammas.length - 1;
    find("time").max = clock.length - 1;
    const has = ([, , data], g) => !data || data.roles.common.some((e) => e.gamma === g);
    const full = gammas.filter((g) => Object.values(PANELS).every((panel) => has(panel, g)));
    find("full").replaceChildren(...full.map((g) => new Option(`gamma ${g}`, gammas.indexOf(g))));
    on("gamma", "input", (e) => change({ gamma: Number(e.target.value) }));
    on("time", "input", (e) => { if (timer) stop(); change({ time: Number(e.target.value) }); });
    on("play", "click", () => (timer ? stop() : play()));
    on("rates", "change", (e) => change({ rate: e.target.value }));
    on("next", "click", () =>
      change({ passage: (state.passage + 1) % DATA.tokens.passages.length }));
    find("next").hidden = !DATA.tokens;
    window.addEventListener("hashchange", restore);
    root.hidden = false;
    restore();
  }

  start();
})();
