/* What the pages have in common on which a reader trains: a Worker, the runs and what the buttons do
   with them, pieces of pictures, a table. */
"use strict";

/** Trains in slices, so that it hears when to pause, and posts each measured point. This is the
    Worker's program; it works as well without one. E has start(settings) and RUN.steps. */
function trainInSlices(E, post, every) {
  let run, id, going = false;
  const slice = () => {
    const until = performance.now() + 12; // ms
    while (going && performance.now() < until) {
      run.advance();
      going = run.step() < E.RUN.steps;
      if (run.step() % every === 0) measure();
    }
    if (going) setTimeout(slice);
  };
  const measure = () => post({ id, step: run.step(), scores: run.scores() });
  return ({ settings, go, one, ...message }) => {
    if (settings) { run = E.start(settings); id = message.id; measure(); }
    if (one) { run.advance(); measure(); }
    const idle = !going;
    going = go && run.step() < E.RUN.steps;
    if (going && idle) setTimeout(slice);
  };
}

const play = {
  /** A function that sends to trainInSlices; `hear` gets what that posts. It runs in a Worker, where
      E is made from the text of `program`, for a page that was opened from a folder may load no
      script there. Where no Worker may be had it runs in the page, with this E. */
  trainer(E, program, hear, every) {
    try {
      const whole = `const hear = (${trainInSlices})(${program}, postMessage, ${every});
        onmessage = (event) => hear(event.data);`;
      const address = URL.createObjectURL(new Blob([whole], { type: "text/javascript" }));
      const worker = new Worker(address);
      worker.onmessage = (event) => hear(event.data);
      return (message) => worker.postMessage(message);
    } catch {
      return trainInSlices(E, hear, every);
    }
  },

  /** The runs of a page, at most KEEP, the newest last, each {id, settings, points, dash, state}; and
      what its buttons do. `both`: the field and the values that one of them tries, one by one. Of
      the page: `settings` of its form; `start(run)`, which may add to a run and gives what the
      trainer gets; `words`, of a run that begins, that is paused, and that is done; and `show`. */
  session({ root, send, both: [field, values], settings, start, words, show }) {
    const KEEP = 4, DASHES = ["", "9 4", "2 4", "10 3 2 3"]; // told apart without colour
    const form = root.querySelector("form");
    const say = (text) => { root.querySelector('[data-play="summary"]').textContent = text; };
    let count = 0, queue = []; // values that are still to be tried
    const next = () => { form.elements[field].value = queue.shift(); S.begin("running"); };

    const S = {
      runs: [],
      current: () => S.runs[S.runs.length - 1],
      last: (run) => run.points[run.points.length - 1],
      unfinished: () => ["running", "paused"].includes(S.current()?.state),
      begin(state) {
        if (!form.reportValidity()) { queue = []; return; }
        S.giveUp();
        if (S.runs.length === KEEP) S.runs.shift();
        const dash = DASHES.find((d) => !S.runs.some((run) => run.dash === d));
        const run = { id: ++count, settings: settings(), points: [], dash, state };
        S.runs.push(run);
        say(words.begins(run));
        send({ id: count, settings: start(run), go: state === "running" });
      },
      giveUp() {
        if (!S.unfinished()) return;
        send({ go: false });
        S.runs.pop();
      },
      finish(run) {
        run.state = "done";
        say(words.done(run));
        if (queue.length) next();
      },
      differing: (run, other) => Object.keys(run.settings).filter((name) =>
        String(run.settings[name]) !== String(other.settings[name])),
      /** The newest other finished run that differs in one setting only, or in none. */
      twin: (run) => S.runs.filter((other) => other !== run && other.state === "done"
        && S.differing(run, other).length < 2).pop(),
    };

    const actions = {
      train() {
        const run = S.current();
        if (!S.unfinished()) S.begin("running");
        else if (run.state === "paused") {
          run.state = "running";
          send({ go: true });
        } else {
          run.state = "paused";
          send({ go: false });
          say(words.paused(run));
        }
      },
      both() { queue = [...values]; next(); },
      step() {
        if (!S.unfinished()) S.begin("paused");
        if (!S.unfinished()) return; // the settings were refused
        queue = [];
        S.current().state = "paused";
        send({ go: false, one: true });
      },
      reset() { queue = []; S.giveUp(); say("Back at step 0."); },
      clear() { queue = []; S.giveUp(); S.runs = []; say("All runs are forgotten."); },
    };
    root.addEventListener("click", ({ target }) => {
      const name = target.dataset.action;
      if (!name) return;
      actions[name]();
      show();
    });
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("input", () => {
      queue = [];
      if (S.unfinished()) {
        S.giveUp();
        say("A setting changed, so the unfinished run was given up.");
      }
      show();
    });
    return S;
  },

  element(name, attributes, ...children) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  },
  line: (x1, y1, x2, y2, kind) => play.element("line", { x1, y1, x2, y2, class: kind }),
  text: (words, x, y, kind = "", anchor = "middle") =>
    play.element("text", { x, y, class: kind, "text-anchor": anchor }, words),

  /** The stroke of a run, for a table. */
  swatch: (dash) => play.element("svg",
    { viewBox: "0 0 40 12", width: 40, height: 12, "aria-hidden": "true" },
    play.element("line", { x1: 0, y1: 6, x2: 40, y2: 6, "stroke-dasharray": dash })),

  /** A run is a column, so that the rows are there from the start and nothing below them moves. */
  tabulate(table, columns) {
    [...table.rows].forEach((row, i) => {
      const cells = columns.map((cell) => {
        const made = document.createElement(i ? "td" : "th");
        if (!i) made.scope = "col";
        made.append(cell[i]);
        return made;
      });
      row.replaceChildren(row.cells[0], ...cells);
    });
  },
};
