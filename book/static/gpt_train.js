/* How gpt.js is trained, measured and read: AdamW and the schedule of optim.py, the stable rank, a
   sample of text, and runs. tests/test_play_gpt.py holds it to the Python, step by step. */
"use strict";

function gptTrainer({ uniform }, model) {
  const { MODEL, product, softmax, tensors, isMatrix, total, zeros, initial, forward, gradient } =
    model;
  const OPTIM = { weightDecay: 0.1, beta1: 0.9, beta2: 0.95, eps: 1e-8, clip: 1, finalRatio: 0.1 };
  const RUN = { steps: 200, batch: 8, writing: 50 };
  const SAMPLE = { tokens: 30, temperature: 0.8 };

  // ---- the optimizer: optim.py ------------------------------------------------------------------

  /** Rate of step 0..steps-1: a linear warm-up to the peak, then a cosine to its final share. */
  function learningRate(peak, warmup, step, steps, { finalRatio } = OPTIM) {
    if (step < warmup) return peak * (step + 1) / warmup;
    const progress = (step - warmup) / Math.max(1, steps - warmup);
    return peak * (finalRatio + (1 - finalRatio) * 0.5 * (1 + Math.cos(Math.PI * progress)));
  }

  /** What the gradients are multiplied with, so that their norm is `largest` at most. */
  function clipping({ all }, largest = OPTIM.clip) {
    let squares = 0;
    for (let i = 0; i < all.length; i++) squares += all[i] * all[i];
    return largest ? Math.min(1, largest / (Math.sqrt(squares) + 1e-6)) : 1;
  }

  /** Step 0, 1, ... of AdamW, in place, with gradients clipped; only matrices decay. */
  function adamw(weights, gradients, { means, squares }, step, rate, model, optim = OPTIM) {
    const { beta1, beta2, weightDecay, eps, clip } = optim, { all: w } = weights;
    const correct1 = 1 - beta1 ** (step + 1), correct2 = 1 - beta2 ** (step + 1);
    const scale = clipping(gradients, clip), decaying = total(tensors(model).filter(isMatrix));
    for (let i = 0; i < w.length; i++) {
      const g = scale * gradients.all[i];
      const mean = means.all[i] += (1 - beta1) * (g - means.all[i]);
      const square = squares.all[i] = beta2 * squares.all[i] + (1 - beta2) * g * g;
      const shrink = i < decaying ? 1 - rate * weightDecay : 1;
      w[i] = w[i] * shrink - rate * mean / correct1 / (Math.sqrt(square / correct2) + eps);
    }
  }

  // ---- what is measured -------------------------------------------------------------------------

  /** ||W||_F^2 / ||W||_2^2 of a matrix (rows, C), by its Gram matrix, squared until its largest
   *  eigenvalue has drowned the others. */
  function stableRank(matrix, C) {
    const rows = matrix.length / C, wide = Float64Array.from(matrix);
    const gram = product(wide, [1, C], wide, [1, C], [C, C, rows], new Float64Array(C * C));
    const trace = (m) => m.reduce((sum, x, i) => sum + (i % (C + 1) ? 0 : x), 0);
    let power = gram.map((x) => x / trace(gram));
    for (let i = 0; i < 12; i++) {
      const next = product(power, [C, 1], power, [C, 1], [C, C, C], new Float64Array(C * C));
      const scale = trace(next);
      power = next.map((x) => x / scale);
    }
    return trace(gram) / power.reduce((sum, x, i) => sum + x * gram[i], 0);
  }

  /** `count` tokens, one after another, each drawn from what the model says follows the last ones.
   *  `draw` gives uniform numbers. Places after the last token cannot be seen from it. */
  function sample(weights, start, count, draw, temperature, model) {
    const { length: T, vocabulary: V } = model, tokens = [start];
    while (tokens.length <= count) {
      const seen = tokens.slice(-T), padded = new Uint16Array(T);
      padded.set(seen);
      const { logits } = forward(weights, padded, model);
      const row = logits.subarray((seen.length - 1) * V, seen.length * V);
      softmax(row, 1 / temperature);
      let left = draw(), token = 0;
      while (token < V - 1 && (left -= row[token]) > 0) token += 1;
      tokens.push(token);
    }
    return tokens;
  }

  // ---- runs -------------------------------------------------------------------------------------

  /** A run at step 0. `advance` trains one step and gives its loss, that before the step; its
   *  batches are a seed's own, the same for all gammas. data: {tokens, vocabulary, start,
   *  logFrequencies}. */
  function run({ data, gamma, rate, warmup, bias, seed }) {
    const model = { ...MODEL, vocabulary: data.vocabulary, bias }, { length: T, width: C } = model;
    const weights = initial(model, gamma, seed, data.logFrequencies);
    const moments = { means: zeros(model), squares: zeros(model) };
    const draw = uniform(`${seed}:batches`);
    let step = 0;
    const batch = () => {
      const starts = Array.from({ length: RUN.batch }, () =>
        Math.floor(draw() * (data.tokens.length - T)));
      return [0, 1].map((on) => Uint16Array.from({ length: RUN.batch * T }, (_, i) =>
        data.tokens[starts[Math.floor(i / T)] + i % T + on]));
    };
    return {
      step: () => step,
      rank: () => stableRank(weights.of["embedding.weight"], C),
      write: () => sample(weights, data.start, SAMPLE.tokens, uniform(`${seed}:text:${step}`),
        SAMPLE.temperature, model),
      advance() {
        const { loss, gradients } = gradient(weights, ...batch(), model);
        const now = learningRate(rate, warmup, step, RUN.steps);
        adamw(weights, gradients, moments, step, now, model);
        step += 1;
        return loss;
      },
    };
  }

  /** A run of each gamma, side by side. `scores` gives the mean losses since it was asked last, the
   *  stable ranks of the embeddings and, every RUN.writing steps, what each writes. */
  function start({ gammas, ...settings }) {
    const runs = gammas.map((gamma) => run({ ...settings, gamma })), step = runs[0].step;
    const mean = (list) => list.reduce((a, b) => a + b, 0) / list.length;
    let recent = runs.map(() => []);
    return {
      step,
      advance: () => runs.forEach((one, side) => recent[side].push(one.advance())),
      scores() {
        const losses = recent[0].length ? recent.map(mean) : null;
        const texts = step() && step() % RUN.writing === 0 ? runs.map((one) => one.write()) : null;
        recent = runs.map(() => []);
        return { losses, texts, ranks: runs.map((one) => one.rank()) };
      },
    };
  }

  return { OPTIM, RUN, SAMPLE, learningRate, clipping, adamw, stableRank, sample, run, start };
}
