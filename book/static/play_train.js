/* The page "Train it here": controls, a chart of losses, a table of finished runs, and words.
   What is computed is in embmlp.js; a Worker does it (play.js), so the page stays responsive. */
"use strict";

(() => {
  const root = document.getElementById("play");
  if (!root) return;
  const E = embMLP(), EVERY = 10; // steps between two points
  const TASKS = { memory: "memory", reasoning: "reasoning", unseen: "unseen pairs" };
  const MOST = 0.8, SOME = 0.4; // of the unseen sums: from here on they count as learned
  const TOP = 6, HEIGHT = 320, EDGE = { left: 40, right: 112, top: 10, bottom: 40 }; // nats, px
  const find = (name) => root.querySelector(`[data-play="${name}"]`);
  const form = root.querySelector("form"), chart = find("chart");
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  const percent = (share) => `${Math.round(100 * share)} %`;

  let drawing = false;

  // ---- what is heard of a run -------------------------------------------------------------------

  const send = play.trainer(E, `(${embMLP})()`, ({ id, step, scores }) => {
    const run = S.current();
    if (run?.id !== id) return; // from a run that was given up
    run.points.push({ step, ...scores });
    if (step === E.RUN.steps) S.finish(run);
    show();
  }, EVERY);

  // ---- what was found ---------------------------------------------------------------------------

  /** The first point at which a task is half learned, or undefined. */
  const half = (run, task) =>
    run.points.find((point) => point[task].loss <= run.levels[task] / 2);

  const left = (run, point, task) => point[task].loss / run.levels[task];

  /** What a run learned, by its right answers at the end: the numbers that are told next to it. */
  function learned({ unseen, reasoning }) {
    if (unseen.right >= MOST) return "learned to add, also the pairs that it never saw";
    const shown = `learned ${reasoning.right < MOST ? "some of " : ""}the sums that it was shown`;
    return unseen.right >= SOME ? `${shown}, and some of those that it never saw`
      : `${shown}, but gets most of those that it never saw wrong`;
  }

  function finding(run) {
    const { gamma } = run.settings, end = last(run), then = half(run, "reasoning");
    if (!then) return `Gamma ${gamma} has not half learned to add in ${E.RUN.steps} steps.`;
    const share = left(run, then, "memory");
    const memory = share < 1 ? `${percent(share)} of the memory task was left`
      : "the memory task was as hard as a guess"; // or harder: no more than all of it is left
    return `Gamma ${gamma} ${learned(end)}. When reasoning was half learned, at step ${then.step}, `
      + `${memory}. At the end ${percent(end.reasoning.right)} of the shown sums are right, `
      + `and ${percent(end.unseen.right)} of the unseen.`;
  }

  /** When another run had half learned reasoning, as one says it next to this run's finding. */
  function pace(run, other) {
    const [now, then] = [run, other].map((r) => half(r, "reasoning")?.step);
    if (!then) return "was not half learned";
    if (now === then) return "was half learned at the same step";
    const word = now ? (then < now ? "earlier, " : "later, ") : "";
    return `was half learned ${word}at step ${then}`;
  }

  /** How it went with one setting changed, in words. */
  function comparison(run) {
    const other = S.twin(run);
    if (!other) return "";
    const [name] = S.differing(other, run);
    if (!name) return " The settings are those of a run before, and so are the numbers.";
    const [now, then] = [run, other].map((r) =>
      Object.fromEntries(Object.keys(TASKS).map((task) => [task, percent(last(r)[task].right)])));
    const both = (task) => (then[task] === now[task] ? `${now[task]} with both`
      : `${then[task]} and ${now[task]}`);
    const word = name === "rate" ? "learning rate" : name;
    return ` With ${word} ${other.settings[name]} and all else alike, reasoning `
      + `${pace(run, other)}. Right at the end with ${other.settings[name]} and with `
      + `${run.settings[name]}: of the unseen sums ${both("unseen")}, of the memory task `
      + `${both("memory")}.`;
  }

  // ---- what the buttons do ----------------------------------------------------------------------

  function settings() {
    const { gamma, rate, seed, activation } = form.elements;
    return { gamma: +gamma.value, rate: +rate.value, seed: +seed.value,
      activation: activation.value };
  }

  /** The losses of guessing, for the chart. */
  function start(run) {
    const data = E.makeData(run.settings.seed);
    run.levels = Object.fromEntries(
      Object.keys(TASKS).map((task) => [task, E.guessing(data[task])]));
    run.levels.floor = E.guessing(data.memory, E.unordered);
    return run.settings;
  }

  function paused(run) {
    const end = last(run);
    const losses = Object.entries(TASKS).map(([task, n]) => `${n} ${end[task].loss.toFixed(2)}`);
    return `Paused near step ${end.step}. Losses: ${losses.join(", ")} nats.`;
  }

  const S = play.session({
    root, send, settings, start, show, both: ["gamma", [0.3, 0.8]],
    words: {
      begins: (run) => `Training with gamma ${run.settings.gamma}.`,
      paused,
      done: (run) => finding(run) + comparison(run),
    },
  });
  const { current, last, unfinished } = S;

  // ---- what is seen -----------------------------------------------------------------------------

  function show() {
    const { gamma } = form.elements, run = unfinished() ? current() : null;
    const std = E.MODEL.width ** -gamma.value;
    find("gamma").textContent =
      `${(+gamma.value).toFixed(2)}, standard deviation ${std.toFixed(3)}`;
    gamma.setAttribute("aria-valuetext", find("gamma").textContent);
    const words = { running: "Pause", paused: "Continue" };
    root.querySelector('[data-action="train"]').textContent = words[run?.state] ?? "Train";
    const point = current() && last(current());
    find("progress").value = point?.step ?? 0;
    find("clock").textContent = `step ${point?.step ?? 0} of ${E.RUN.steps}`;
    if (drawing || (still.matches && run?.state === "running")) return;
    drawing = true;
    requestAnimationFrame(() => {
      drawing = false;
      draw();
      play.tabulate(find("runs"), S.runs.filter((run) => run.points.length).map(column));
      root.dataset.state = current()?.state ?? "ready"; // what is drawn
    });
  }

  function draw() {
    const width = chart.clientWidth, right = width - EDGE.right, bottom = HEIGHT - EDGE.bottom;
    const x = (step) => EDGE.left + (right - EDGE.left) * step / E.RUN.steps;
    const y = (loss) => bottom - (bottom - EDGE.top) * Math.min(loss, TOP) / TOP;
    const { element, line, text } = play;
    const parts = [];
    for (let loss = 0; loss <= TOP; loss += 2) {
      parts.push(line(EDGE.left, y(loss), right, y(loss), "grid"),
        text(loss, EDGE.left - 8, y(loss) + 4, "", "end"));
    }
    for (let step = 0; step <= E.RUN.steps; step += 100) {
      parts.push(text(step, x(step), bottom + 17, ""));
    }
    parts.push(text("step", (EDGE.left + right) / 2, HEIGHT - 6, ""),
      text("loss (nats)", 10, (EDGE.top + bottom) / 2, "upright"));
    const levels = current()?.levels;
    if (levels) for (const level of [levels.memory, levels.floor]) {
      parts.push(line(EDGE.left, y(level), right, y(level), "level memory"));
    }
    for (const run of S.runs) for (const task of Object.keys(TASKS)) {
      const points = run.points.map((point) => `${x(point.step)},${y(point[task].loss)}`).join(" ");
      const old = run === current() ? "" : "old";
      parts.push(element("polyline",
        { points, class: `run ${task} ${old}`, "stroke-dasharray": run.dash }));
    }
    const end = current() && last(current());
    let above = -Infinity; // names at the ends of the newest lines, pushed apart
    for (const task of end ? Object.keys(TASKS).sort((a, b) => end[b].loss - end[a].loss) : []) {
      above = Math.max(above + 16, y(end[task].loss) + 4);
      parts.push(text(TASKS[task], x(end.step) + 6, above, `name ${task}`, "start"));
    }
    const hidden = { width, height: HEIGHT, "aria-hidden": "true" };
    chart.replaceChildren(element("svg", hidden, ...parts));
    chart.setAttribute("aria-label", `Losses against steps, of ${S.runs.length} runs. `
      + S.runs.map((run) => run.state === "done" ? finding(run) : "One is unfinished.").join(" "));
  }

  /** The column of a run, in the order of the table's rows. */
  function column(run) {
    const { gamma, rate, seed, activation } = run.settings;
    const then = half(run, "reasoning"), end = last(run);
    const at = (task) => (then ? percent(left(run, then, task)) : "–");
    const right = ["unseen", "reasoning", "memory"].map((task) => percent(end[task].right));
    return [gamma, play.swatch(run.dash), rate, seed, activation, ...right, then?.step ?? "–",
      at("memory"), at("unseen")];
  }

  new ResizeObserver(() => requestAnimationFrame(draw)).observe(chart);
  show();
})();
