/* The page "Train a GPT here": controls, charts of losses and ranks, lines of text, a table of
   finished runs, and words. What is computed is in gpt.js and gpt_train.js; a Worker does it. */
"use strict";

(() => {
  const root = document.getElementById("play-gpt"), known = window.GG_GPT;
  if (!root || !known) return;
  const E = embMLP(), M = gpt(E), G = gptTrainer(E, M), { width } = M.MODEL;
  const EVERY = 5; // steps between points
  const SIDES = ["first", "second"], WARMUPS = [5, 180]; // one after the other, at a button
  const NAMES = { gammas: "the gammas", rate: "learning rate", warmup: "warm-up", bias: "bias",
    seed: "seed" };
  const EDGE = { left: 48, right: 92, top: 10, bottom: 40 }; // px
  const find = (name) => root.querySelector(`[data-play="${name}"]`);
  const form = root.querySelector("form"), still = matchMedia("(prefers-reduced-motion: reduce)");

  let drawing = false, data = null, since = null; // since when the speed is measured

  // ---- what is heard of a run, and the text that it reads --------------------------------------

  const program = `((E) => (${gptTrainer})(E, (${gpt})(E)))((${embMLP})())`;
  const send = play.trainer(G, program, ({ id, step, scores: { texts, ...scores } }) => {
    const run = S.current();
    if (run?.id !== id) return; // from a run that was given up
    if (scores.losses) run.points.push({ step, ...scores });
    if (texts) run.texts.push(texts);
    if (step === G.RUN.steps) S.finish(run);
    show();
  }, EVERY);

  /** The tokens of the text: 16-bit numbers, deflated, in base64. */
  async function unpacked() {
    const bytes = Uint8Array.from(atob(known.tokens), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint16Array(await new Response(stream).arrayBuffer());
  }

  // ---- what was found ---------------------------------------------------------------------------

  /** x = lr d^2 / n_w. */
  const index = ({ rate, warmup }) => rate * width ** 2 / warmup;
  const short = (x) => Number(x.toPrecision(3)).toString();

  /** What the law expects at these settings, and what it has never seen. */
  function expectation(settings) {
    const { threshold, slope } = known.rule, x = index(settings), { rate, warmup } = settings;
    const chance = 1 / (1 + (threshold / x) ** slope), percent = Math.round(100 * chance);
    const share = percent > 99 ? "above 99 %" : percent < 1 ? "below 1 %" : `${percent} %`;
    const place = x < threshold ? "below the boundary" : "above the boundary";
    return `x = ${short(rate)} · ${width}² / ${warmup} = ${short(x)}, ${place} `
      + `${threshold}. The law's probability that a small initialization collapses: ${share}. `
      + unseen(settings);
  }

  /** Of the settings, those outside of what the law was fitted to. */
  function unseen({ rate, warmup }) {
    const values = { learning_rate: [rate, "learning rate"], warmup_steps: [warmup, "warm-up"],
      vocab_size: [known.pieces.length, "vocabulary"] };
    const outside = Object.entries(values).flatMap(([name, [value, word]]) => {
      const [low, high] = known.ranges[name];
      if (value >= low && value <= high) return [];
      return [`${word} ${value} (it knows ${low === high ? low : `${low} to ${high}`})`];
    });
    return outside.length ? `Outside of its evidence: ${outside.join(", ")}.` : "";
  }

  const ends = (run) => last(run).losses.map((loss) => loss.toFixed(2));

  /** The first step with a loss clearly below the unigram level, of a side; or undefined. */
  const left = (run, side) =>
    run.points.find(({ losses }) => losses[side] < known.entropy - known.rule.gap)?.step;

  function finding(run) {
    const [a, b] = run.settings.gammas, [first, second] = ends(run);
    const more = second - first, word = more > 0 ? "higher" : "lower";
    const difference = more ? `${Math.abs(more).toFixed(2)} ${word}` : "as low";
    const steps = SIDES.map((_, side) => left(run, side) ?? "none");
    return `Gamma ${a} ended at ${first} nats a token, and gamma ${b} at ${second}, ${difference}. `
      + `They had left the unigram level at step ${steps[0]} and step ${steps[1]}.`;
  }

  /** How it went with one setting changed, in words. */
  function comparison(run) {
    const other = S.twin(run);
    if (!other) return "";
    const [name] = S.differing(other, run);
    if (!name) return " The settings are those of a run before, and so are the numbers.";
    const value = String(other.settings[name]).replace(",", " and "), [a, b] = ends(other);
    return ` With ${NAMES[name]} ${value} and all else alike: ${a} and ${b}.`
      + (["rate", "warmup"].includes(name) ? collapse(run, other, name) : "");
  }

  /** Which gammas collapsed in the faster of two runs, which differ in the rate or the warm-up. */
  function collapse(run, other, name) {
    const [gentle, fast] = [run, other].sort((a, b) => index(a.settings) - index(b.settings));
    const found = fast.settings.gammas.filter((_, side) =>
      last(fast).losses[side] - last(gentle).losses[side] > known.rule.margin);
    const where = `with ${NAMES[name]} ${fast.settings[name]}`;
    return found.length ? ` So gamma ${found.join(" and gamma ")} collapsed ${where}.`
      : ` None collapsed ${where}.`;
  }

  // ---- what the buttons do ----------------------------------------------------------------------

  function settings() {
    const { first, second, rate, warmup, bias, seed } = form.elements;
    return { gammas: [+first.value, +second.value], rate: +rate.value, warmup: +warmup.value,
      bias: bias.value, seed: +seed.value };
  }

  const S = play.session({
    root, send, settings, show, both: ["warmup", WARMUPS],
    start(run) {
      run.texts = [];
      return { ...run.settings, data };
    },
    words: {
      begins: ({ settings: { gammas, warmup } }) =>
        `Training gamma ${gammas.join(" and gamma ")}, with a warm-up of ${warmup}.`,
      paused: (run) => "Paused" + (run.points.length ? ` near step ${last(run).step}, at losses of ${
        ends(run).join(" and ")} nats.` : "."),
      done: (run) => finding(run) + comparison(run),
    },
  });
  const { current, last, unfinished } = S;

  // ---- what is seen -----------------------------------------------------------------------------

  function show() {
    const run = unfinished() ? current() : null, point = current() && last(current());
    for (const side of SIDES) {
      const slider = form.elements[side], gamma = +slider.value, std = width ** -gamma;
      find(side).textContent = `${gamma.toFixed(2)}, standard deviation ${std.toFixed(3)}`;
      slider.setAttribute("aria-valuetext", find(side).textContent);
    }
    if (form.checkValidity()) find("law").textContent = expectation(settings());
    const words = { running: "Pause", paused: "Continue" };
    root.querySelector('[data-action="train"]').textContent = words[run?.state] ?? "Train both";
    find("progress").value = point?.step ?? 0;
    find("clock").textContent = `step ${point?.step ?? 0} of ${G.RUN.steps}${pace(run, point)}`;
    if (drawing || (still.matches && run?.state === "running")) return;
    drawing = true;
    requestAnimationFrame(() => {
      drawing = false;
      draw();
      root.dataset.state = current()?.state ?? (data ? "ready" : "loading"); // what is drawn
    });
  }

  function pace(run, point) {
    if (run?.state !== "running") { since = null; return ""; }
    since ??= { time: performance.now(), step: point?.step ?? 0 };
    const steps = (point?.step ?? 0) - since.step, seconds = (performance.now() - since.time) / 1000;
    return steps < 2 * EVERY ? "" : `, ${(steps / seconds).toFixed(1)} a second`;
  }

  function draw() {
    const chance = Math.log(known.pieces.length); // all tokens equally likely
    plot(find("losses"), "loss (nats)", 300, { low: 2, high: 6, every: 1 },
      (point, side) => point.losses[side], [["unigram", known.entropy], ["chance", chance]]);
    plot(find("ranks"), "stable rank", 200, { low: 0, high: 40, every: 10 },
      (point, side) => point.ranks[side], []);
    const told = S.runs.map((run) => run.state === "done" ? finding(run) : "One is unfinished.");
    find("losses").setAttribute("aria-label",
      `Losses against steps, of ${S.runs.length} runs of two. ${told.join(" ")}`);
    const ranks = S.runs.filter((run) => run.points.length).map((run) =>
      `Gamma ${run.settings.gammas.join(" and ")}: `
      + `${last(run).ranks.map((rank) => rank.toFixed(1)).join(" and ")}.`);
    find("ranks").setAttribute("aria-label",
      `Stable rank of the embedding against steps, the last ones. ${ranks.join(" ")}`);
    strip();
    write();
    play.tabulate(find("runs"), S.runs.filter((run) => run.points.length).map(column));
  }

  const { element, line, text } = play;

  /** A chart of a number of both sides of all runs, against steps, and of levels with names. */
  function plot(chart, title, height, { low, high, every }, number, levels) {
    const wide = chart.clientWidth, right = wide - EDGE.right, bottom = height - EDGE.bottom;
    const x = (step) => EDGE.left + (right - EDGE.left) * step / G.RUN.steps;
    const y = (value) => bottom
      - (bottom - EDGE.top) * (Math.min(Math.max(value, low), high) - low) / (high - low);
    const parts = [text("step", (EDGE.left + right) / 2, height - 6),
      text(title, 10, (EDGE.top + bottom) / 2, "upright")];
    for (let value = low; value <= high; value += every) {
      parts.push(line(EDGE.left, y(value), right, y(value), "grid"),
        text(value, EDGE.left - 8, y(value) + 4, "", "end"));
    }
    for (let step = 0; step <= G.RUN.steps; step += 50) {
      parts.push(text(step, x(step), bottom + 17));
    }
    for (const [name, level] of levels) {
      parts.push(line(EDGE.left, y(level), right, y(level), "level"),
        text(name, right - 4, y(level) - 5, "", "end"));
    }
    for (const run of S.runs) for (const [side, name] of SIDES.entries()) {
      const points = run.points.map((point) => `${x(point.step)},${y(number(point, side))}`);
      parts.push(element("polyline", { points: points.join(" "), "stroke-dasharray": run.dash,
        class: `run ${name} ${run === current() ? "" : "old"}` }));
    }
    const end = current() && last(current());
    if (end) {
      const [a, b] = end && [0, 1].map((side) => y(number(end, side)));
      const apart = Math.max(0, 16 - Math.abs(a - b)) / 2 * (a < b ? -1 : 1); // names, pushed apart
      for (const [side, at] of [a + apart, b - apart].entries()) {
        parts.push(text(`gamma ${current().settings.gammas[side]}`, x(end.step) + 6, at + 4,
          `name ${SIDES[side]}`, "start"));
      }
    }
    chart.replaceChildren(element("svg", { width: wide, height, "aria-hidden": "true" }, ...parts));
  }

  /** x on a logarithmic scale, with the boundary. */
  function strip() {
    const chart = find("strip"), wide = chart.clientWidth, low = 0.02, high = 200;
    const at = (x) => 8 + (wide - 16)
      * Math.log(Math.min(Math.max(x, low), high) / low) / Math.log(high / low);
    const edge = at(known.rule.threshold), parts = [line(8, 26, edge, 26, "calm"),
      line(edge, 26, wide - 8, 26, "wild"), line(edge, 14, edge, 38, "edge"),
      text("no collapse", edge - 8, 14, "", "end"), text("collapse", edge + 8, 14, "", "start")];
    for (const x of [0.1, 1, 10, 100]) parts.push(text(x, at(x), 50));
    parts.push(element("circle", { cx: at(index(settings())), cy: 26, r: 7 }));
    const hidden = { width: wide, height: 54, "aria-hidden": "true" };
    chart.replaceChildren(element("svg", hidden, ...parts));
  }

  /** What both have written in the newest run, a line every 50 steps. */
  function write() {
    for (const [side, name] of SIDES.entries()) {
      const gamma = current()?.settings.gammas[side] ?? form.elements[name].value;
      find(`${name}-writes`).textContent = `Gamma ${+gamma} writes`;
      const lines = [...find(`${name}-text`).children];
      lines.forEach((item, i) => {
        const tokens = current()?.texts[i]?.[side];
        item.lastElementChild.textContent =
          tokens ? tokens.slice(1).map((token) => known.pieces[token]).join("") : "";
      });
    }
  }

  /** The column of a run, in the order of the table's rows. */
  function column(run) {
    const { gammas, rate, warmup, bias, seed } = run.settings;
    const sides = SIDES.flatMap((_, side) => [gammas[side], ends(run)[side],
      left(run, side) ?? "–", last(run).ranks[side].toFixed(1)]);
    const x = short(index(run.settings));
    return [run.id, play.swatch(run.dash), rate, warmup, x, bias, seed, ...sides];
  }

  new ResizeObserver(() => requestAnimationFrame(draw)).observe(find("losses"));
  unpacked().then((tokens) => {
    data = { tokens, vocabulary: known.pieces.length, start: known.start,
      logFrequencies: known.logFrequencies };
    root.querySelector("fieldset").disabled = false;
    performance.mark("ready"); // a test asks how soon
    show();
  }, () => { find("summary").textContent = "This browser is too old to unpack the text."; });
})();
