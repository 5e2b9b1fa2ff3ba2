/* What the pages have in common on which a reader trains: a Worker, pieces of pictures, a table. */
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
