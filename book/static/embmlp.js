/* The Emb-MLP, its task, its initialization and its optimizer: what src/gammagpt does, in plain
   JavaScript. tests/test_play_train.py holds it to the Python, step by step.

   Everything is inside one function: a page that was opened from a folder may not load a Worker's
   script from a file, so play.js hands the Worker the text of this function.

   A matrix is a Float64Array, row after row, and a layer is (outputs, inputs), as in torch.
   Shapes in comments: B sequences of L tokens, C width, F hidden width, V vocabulary. */
"use strict";

function embMLP() {
  // Smaller than the book's laptop runs, so that a run takes seconds. Ranges include both ends.
  const TASK = { keys: [21, 40], memory: [1, 4], reasoning: [11, 14], heldOut: ["11+13", "13+11"] };
  const MODEL = { vocabulary: 72, width: 64, hidden: 64, activation: "tanh" }; // labels reach 68
  const OPTIM = { weightDecay: 0.1, beta1: 0.9, beta2: 0.95, eps: 1e-8, clip: 1, warmup: 0.1,
    finalRatio: 0.1 };
  const RUN = { steps: 500, batch: 64 };
  // sigma, and its slope from what it gave.
  const ACTIVATIONS = {
    tanh: [Math.tanh, (y) => 1 - y * y],
    relu: [(x) => Math.max(x, 0), (y) => (y > 0 ? 1 : 0)],
    linear: [(x) => x, () => 1],
  };

  // ---- random numbers: a stream of its own for each thing that is drawn -------------------------

  /** FNV-1a: a text of plain letters as 32 bits. */
  function hash(text) {
    let found = 0x811c9dc5;
    for (const letter of text) found = Math.imul(found ^ letter.charCodeAt(0), 0x01000193);
    return found >>> 0;
  }

  /** Marsaglia's xorshift128 (2003): a function that gives uniform numbers in [0, 1). */
  function uniform(name, state = Uint32Array.from([0, 1, 2, 3], (i) => hash(`${i}:${name}`))) {
    return () => {
      const t = state[0] ^ (state[0] << 11), w = state[3];
      state.copyWithin(0, 1);
      state[3] = w ^ (w >>> 19) ^ t ^ (t >>> 8);
      return state[3] / 2 ** 32;
    };
  }

  /** Standard normal numbers, two at a time (Box and Muller, 1958). */
  function normals(name, count) {
    const draw = uniform(name), found = new Float64Array(count);
    for (let i = 0; i < count; i += 2) {
      const radius = Math.sqrt(-2 * Math.log(1 - draw())), angle = 2 * Math.PI * draw();
      found[i] = radius * Math.cos(angle);
      found[i + 1] = radius * Math.sin(angle); // beyond the end of a typed array: no effect
    }
    return found;
  }

  // ---- the task: data/anchors.py with two anchors and no noise ----------------------------------

  /** {memory, reasoning, unseen, train}: each {tokens: [[key, a, b], ...], labels}. */
  function makeData(seed, task = TASK) {
    const draw = uniform(`${seed}:memory`), [low, high] = task.keys;
    const sets = {};
    for (const name of ["memory", "reasoning", "unseen"]) sets[name] = { tokens: [], labels: [] };
    for (const name of ["memory", "reasoning"]) {
      const [first, last] = task[name];
      for (let a = first; a <= last; a++) for (let b = first; b <= last; b++) {
        const { tokens, labels } = sets[task.heldOut.includes(`${a}+${b}`) ? "unseen" : name];
        for (let key = low; key <= high; key++) {
          tokens.push([key, a, b]);
          const random = () => low + Math.floor(draw() * (high - low + 1));
          labels.push(name === "memory" ? random() : key + a + b);
        }
      }
    }
    const { memory, reasoning } = sets;
    sets.train = { tokens: [...memory.tokens, ...reasoning.tokens],
      labels: [...memory.labels, ...reasoning.labels] };
    return sets;
  }

  /** The loss of who knows only how often each label comes with what is `told` of a sequence. */
  function guessing({ tokens, labels }, told = () => "") {
    const alike = new Map(), same = new Map();
    const count = (map, name) => map.set(name, (map.get(name) ?? 0) + 1);
    const names = tokens.map((row, i) => [told(row), `${told(row)} ${labels[i]}`]);
    for (const [known, all] of names) { count(alike, known); count(same, all); }
    const losses = names.map(([known, all]) => Math.log(alike.get(known) / same.get(all)));
    return losses.reduce((a, b) => a + b) / losses.length;
  }

  /** What is told of a sequence to a model that adds up embeddings: its tokens, not their order. */
  const unordered = (row) => [...row].sort((a, b) => a - b).join();

  // ---- the model --------------------------------------------------------------------------------

  /** The gamma rule: Normal(0, std) with std = d_in^-gamma. Two gammas share a seed's draw. */
  function initial(gamma, seed, { vocabulary, width, hidden } = MODEL) {
    const shapes = { embedding: [vocabulary, width], hidden: [hidden, width],
      head: [vocabulary, hidden] };
    const drawn = ([name, [rows, inputs]]) =>
      [name, normals(`${seed}:${name}`, rows * inputs).map((z) => z * inputs ** -gamma)];
    return Object.fromEntries(Object.entries(shapes).map(drawn));
  }

  /** (n, m) = a (n, k) times b (k, m); `down` and `right` lead to a's next row and column.
   *  Four rows of b at once are three times as fast as one by one, so k is a multiple of four. */
  function product(a, [down, right], b, n, k, m) {
    const out = new Float64Array(n * m);
    for (let i = 0; i < n; i++) for (let p = 0; p < k; p += 4) {
      const x = i * down + p * right, o = i * m, r0 = p * m, r1 = r0 + m, r2 = r1 + m, r3 = r2 + m;
      const a0 = a[x], a1 = a[x + right], a2 = a[x + 2 * right], a3 = a[x + 3 * right];
      for (let j = 0; j < m; j++) {
        out[o + j] += a0 * b[r0 + j] + a1 * b[r1 + j] + a2 * b[r2 + j] + a3 * b[r3 + j];
      }
    }
    return out;
  }

  /** (columns, rows) of a matrix (rows, columns). */
  function transposed(a, rows, columns) {
    const out = new Float64Array(rows * columns);
    for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) {
      out[j * rows + i] = a[i * columns + j];
    }
    return out;
  }

  /** sigma((sum of embeddings) W1) W2: sums (B, C), neurons (B, F), logits (B, V). */
  function forward(weights, tokens, { vocabulary: V, width: C, hidden: F, activation } = MODEL) {
    const B = tokens.length, sums = new Float64Array(B * C);
    tokens.forEach((row, i) => {
      for (const token of row) for (let c = 0; c < C; c++) {
        sums[i * C + c] += weights.embedding[token * C + c];
      }
    });
    const neurons = product(sums, [C, 1], transposed(weights.hidden, F, C), B, C, F)
      .map(ACTIVATIONS[activation][0]);
    const logits = product(neurons, [F, 1], transposed(weights.head, V, F), B, F, V);
    return { sums, neurons, logits };
  }

  /** Cross-entropy: the mean loss in nats, how many are right, the loss by the logits (B, V). */
  function crossEntropy(logits, labels) {
    const B = labels.length, V = logits.length / B, errors = new Float64Array(B * V);
    let loss = 0, right = 0;
    labels.forEach((label, i) => {
      const row = logits.subarray(i * V, (i + 1) * V), top = row.reduce((a, b) => Math.max(a, b));
      const total = row.reduce((sum, x) => sum + Math.exp(x - top), 0);
      row.forEach((x, v) => { errors[i * V + v] = Math.exp(x - top) / total / B; });
      errors[i * V + label] -= 1 / B;
      loss += (top + Math.log(total) - row[label]) / B;
      right += row.indexOf(top) === label;
    });
    return { loss, right, errors };
  }

  /** The loss of a batch, and the loss by each weight. */
  function gradient(weights, tokens, labels, model = MODEL) {
    const { vocabulary: V, width: C, hidden: F } = model, B = tokens.length;
    const { sums, neurons, logits } = forward(weights, tokens, model);
    const { loss, errors } = crossEntropy(logits, labels);
    const slope = ACTIVATIONS[model.activation][1];
    const back = product(errors, [V, 1], weights.head, B, V, F)
      .map((x, i) => x * slope(neurons[i]));
    const bySum = product(back, [F, 1], weights.hidden, B, F, C);
    const embedding = new Float64Array(V * C);
    tokens.forEach((row, i) => {
      for (const token of row) for (let c = 0; c < C; c++) {
        embedding[token * C + c] += bySum[i * C + c];
      }
    });
    const hidden = product(back, [1, F], sums, F, B, C);
    const head = product(errors, [1, V], neurons, V, B, F);
    return { loss, gradients: { embedding, hidden, head } };
  }

  // ---- the optimizer: optim.py ------------------------------------------------------------------

  /** Rate of step 0..steps-1: a linear warm-up to the peak, then a cosine to its final share. */
  function learningRate(peak, step, steps, { warmup, finalRatio } = OPTIM) {
    const rising = Math.round(warmup * steps); // at one half Python rounds to even: avoid these
    if (step < rising) return peak * (step + 1) / rising;
    const progress = (step - rising) / Math.max(1, steps - rising);
    return peak * (finalRatio + (1 - finalRatio) * 0.5 * (1 + Math.cos(Math.PI * progress)));
  }

  /** Scale the gradients so that their norm is `largest` at most; 0 leaves them as they are. */
  function clip(gradients, largest = OPTIM.clip) {
    let squares = 0;
    for (const g of Object.values(gradients)) for (const x of g) squares += x * x;
    const scale = Math.min(1, largest / (Math.sqrt(squares) + 1e-6));
    if (largest && scale < 1) for (const g of Object.values(gradients)) g.forEach((x, i) => {
      g[i] = x * scale;
    });
  }

  /** What AdamW remembers of each weight. */
  function freshMoments(weights) {
    const zeros = () => Object.fromEntries(
      Object.entries(weights).map(([name, w]) => [name, new Float64Array(w.length)]));
    return { means: zeros(), squares: zeros() };
  }

  /** Step 0, 1, ... of AdamW, in place. All weights are matrices, so all decay. */
  function adamw(weights, gradients, { means, squares }, step, rate, optim = OPTIM) {
    const { beta1, beta2, weightDecay, eps } = optim;
    const correct1 = 1 - beta1 ** (step + 1), correct2 = 1 - beta2 ** (step + 1);
    for (const [name, weight] of Object.entries(weights)) {
      const g = gradients[name], mean = means[name], square = squares[name];
      for (let i = 0; i < weight.length; i++) {
        mean[i] += (1 - beta1) * (g[i] - mean[i]);
        square[i] = beta2 * square[i] + (1 - beta2) * g[i] * g[i];
        const change = mean[i] / correct1 / (Math.sqrt(square[i] / correct2) + eps);
        weight[i] = weight[i] * (1 - rate * weightDecay) - rate * change;
      }
    }
  }

  // ---- a run ------------------------------------------------------------------------------------

  /** A run at step 0. `advance` trains one step; `scores` gives the loss and share right by set. */
  function start({ gamma, rate, seed, activation }) {
    const model = { ...MODEL, activation }, data = makeData(seed), weights = initial(gamma, seed);
    const moments = freshMoments(weights), draw = uniform(`${seed}:batches`);
    const { tokens, labels } = data.train;
    let step = 0;
    const score = ({ tokens, labels }) => {
      const { loss, right } = crossEntropy(forward(weights, tokens, model).logits, labels);
      return { loss, right: right / labels.length };
    };
    return {
      step: () => step,
      scores: () => Object.fromEntries(
        ["memory", "reasoning", "unseen"].map((name) => [name, score(data[name])])),
      advance() {
        const rows = Array.from({ length: RUN.batch }, () => Math.floor(draw() * labels.length));
        const pick = (list) => rows.map((i) => list[i]);
        const found = gradient(weights, pick(tokens), pick(labels), model);
        clip(found.gradients);
        adamw(weights, found.gradients, moments, step, learningRate(rate, step, RUN.steps));
        step += 1;
      },
    };
  }

  return { TASK, MODEL, RUN, ACTIVATIONS, hash, uniform, normals, makeData, guessing, unordered,
    initial, forward, crossEntropy, gradient, learningRate, clip, freshMoments, adamw, start };
}
