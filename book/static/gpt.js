/* A GPT, its initialization, its loss and its gradient: what model.py and init.py of src/gammagpt
   do, in plain JavaScript. tests/test_play_gpt.py holds it to the Python.

   Everything is inside one function, as in embmlp.js, so that a Worker can be handed its text.

   All weights lie in one array, and so do all gradients; a tensor is a part of it, by the name that
   it has in torch. A matrix is kept row after row, and a layer is (outputs, inputs).
   Shapes in comments: N = B T tokens (B sequences of T), C width, H heads of size D, F hidden width
   of the MLP, V vocabulary. All but B are multiples of four. */
"use strict";

function gpt({ normals }, Numbers = Float32Array) {
  const MODEL = { width: 64, hidden: 176, layers: 1, heads: 2, length: 32, eps: 1e-5, base: 1e4 };

  // ---- products of matrices: nearly all of the time goes here -----------------------------------

  /** out (n, m) += the sum over k of a (n, k) and b (m, k). Strides lead to the next row of a
   *  factor and to its next k; `wide` to the next row of out. Blocks of four rows of a and four of
   *  b: each number that is read is used four times. */
  function product(a, [aRow, aNext], b, [bRow, bNext], [n, m, k], out = new Numbers(n * m),
    wide = m) {
    for (let i = 0; i < n; i += 4) for (let j = 0; j < m; j += 4) {
      let s00 = 0, s01 = 0, s02 = 0, s03 = 0, s10 = 0, s11 = 0, s12 = 0, s13 = 0;
      let s20 = 0, s21 = 0, s22 = 0, s23 = 0, s30 = 0, s31 = 0, s32 = 0, s33 = 0;
      let x = i * aRow, y = j * bRow;
      for (let p = 0; p < k; p++, x += aNext, y += bNext) {
        const b0 = b[y], b1 = b[y + bRow], b2 = b[y + 2 * bRow], b3 = b[y + 3 * bRow];
        const a0 = a[x], a1 = a[x + aRow], a2 = a[x + 2 * aRow], a3 = a[x + 3 * aRow];
        s00 += a0 * b0; s01 += a0 * b1; s02 += a0 * b2; s03 += a0 * b3;
        s10 += a1 * b0; s11 += a1 * b1; s12 += a1 * b2; s13 += a1 * b3;
        s20 += a2 * b0; s21 += a2 * b1; s22 += a2 * b2; s23 += a2 * b3;
        s30 += a3 * b0; s31 += a3 * b1; s32 += a3 * b2; s33 += a3 * b3;
      }
      const o = i * wide + j, o1 = o + wide, o2 = o1 + wide, o3 = o2 + wide;
      out[o] += s00; out[o + 1] += s01; out[o + 2] += s02; out[o + 3] += s03;
      out[o1] += s10; out[o1 + 1] += s11; out[o1 + 2] += s12; out[o1 + 3] += s13;
      out[o2] += s20; out[o2 + 1] += s21; out[o2 + 2] += s22; out[o2 + 3] += s23;
      out[o3] += s30; out[o3 + 1] += s31; out[o3 + 2] += s32; out[o3 + 3] += s33;
    }
    return out;
  }

  // ---- the weights ------------------------------------------------------------------------------

  /** [[name, rows, columns], ...]: the matrices, which decay; then the vectors, which do not. */
  function tensors({ vocabulary: V, width: C, hidden: F, layers, bias = "none" }) {
    const blocks = Array.from({ length: layers }, (_, l) => `blocks.${l}.`);
    return [["embedding.weight", V, C],
      ...blocks.flatMap((block) => [
        ...["query", "key", "value", "out"].map((n) => [`${block}attention.${n}.weight`, C, C]),
        [`${block}mlp.gate.weight`, F, C], [`${block}mlp.up.weight`, F, C],
        [`${block}mlp.down.weight`, C, F]]),
      ["head.weight", V, C],
      ...blocks.flatMap((block) => [[`${block}norm1.weight`, C], [`${block}norm2.weight`, C]]),
      ["norm.weight", C], ...(bias === "none" ? [] : [["head.bias", V]])];
  }

  const isMatrix = ([, , columns]) => columns > 0;
  const size = ([, rows, columns = 1]) => rows * columns;
  const total = (list) => list.reduce((sum, tensor) => sum + size(tensor), 0);

  /** {all, of: {name: its part of all}}, of zeros. */
  function zeros(model) {
    const list = tensors(model), all = new Numbers(total(list)), of = {};
    let at = 0;
    for (const tensor of list) of[tensor[0]] = all.subarray(at, at += size(tensor));
    return { all, of };
  }

  /** The gamma rule: Normal(0, std) with std = d_in^-gamma; gains 1, and a bias at zero or at the
   *  log frequencies of the tokens. Two gammas share a seed's draw. */
  function initial(model, gamma, seed, logFrequencies) {
    const weights = zeros(model);
    for (const tensor of tensors(model)) {
      const [name, , inputs] = tensor, mine = weights.of[name];
      if (isMatrix(tensor)) {
        const std = inputs ** -gamma;
        normals(`${seed}:${name}`, mine.length).forEach((z, i) => { mine[i] = z * std; });
      } else if (name !== "head.bias") mine.fill(1);
      else if (model.bias === "unigram") mine.set(logFrequencies);
    }
    return weights;
  }

  // ---- the model, forwards ----------------------------------------------------------------------

  /** x (N, inputs) by a layer, (N, outputs). */
  const linear = (x, w, N, C, F, out) => product(x, [C, 1], w, [C, 1], [N, F, C], out);

  /** RMSNorm of x (N, C), and one over the root mean square of each row. */
  function norm(x, gain, N, C, eps) {
    const y = new Numbers(N * C), scales = new Numbers(N);
    for (let i = 0; i < N; i++) {
      let squares = 0;
      for (let c = i * C; c < (i + 1) * C; c++) squares += x[c] * x[c];
      const scale = scales[i] = 1 / Math.sqrt(squares / C + eps);
      for (let c = 0; c < C; c++) y[i * C + c] = x[i * C + c] * scale * gain[c];
    }
    return { x, y, scales };
  }

  /** Turn each pair (x_i, x_{i+D/2}) of x (N, C), in place, by its position's angle; or back. */
  function rotate(x, { width: C, heads, length: T, base }, way = 1) {
    const D = C / heads, half = D / 2;
    for (let d = 0; d < half; d++) for (let t = 0; t < T; t++) {
      const angle = t * base ** (-2 * d / D), cos = Math.cos(angle), sin = way * Math.sin(angle);
      for (let row = t * C; row < x.length; row += T * C) for (let h = 0; h < C; h += D) {
        const i = row + h + d, first = x[i], second = x[i + half];
        x[i] = first * cos - second * sin;
        x[i + half] = second * cos + first * sin;
      }
    }
    return x;
  }

  /** Calls with the place of each head of each sequence in an array (N, C), and its number. */
  function eachHead(N, { width: C, heads, length: T }, call) {
    for (let i = 0; i < N / T * heads; i++) {
      call(Math.floor(i / heads) * T * C + i % heads * C / heads, i);
    }
  }

  /** Causal softmax(q k^T / sqrt(D)) v, each (N, C): y (N, C), and the shares (B, H, T, T). */
  function attend(q, k, v, N, model) {
    const { width: C, heads, length: T } = model, D = C / heads, root = Math.sqrt(D);
    const y = new Numbers(N * C), shares = new Numbers(N * heads * T);
    eachHead(N, model, (at, head) => {
      const mine = shares.subarray(head * T * T, (head + 1) * T * T);
      product(q.subarray(at), [C, 1], k.subarray(at), [C, 1], [T, T, D], mine);
      for (let t = 0; t < T; t++) {
        const row = mine.subarray(t * T, (t + 1) * T);
        softmax(row.subarray(0, t + 1), 1 / root);
        row.fill(0, t + 1);
      }
      product(mine, [T, 1], v.subarray(at), [1, C], [T, D, T], y.subarray(at), C);
    });
    return { y, shares };
  }

  /** In place, of `scale` times the row; the logarithm of the sum of exponentials. */
  function softmax(row, scale = 1) {
    let top = -Infinity, sum = 0;
    for (let i = 0; i < row.length; i++) top = Math.max(top, row[i]);
    for (let i = 0; i < row.length; i++) sum += row[i] = Math.exp(scale * (row[i] - top));
    for (let i = 0; i < row.length; i++) row[i] /= sum;
    return scale * top + Math.log(sum);
  }

  const sigmoid = (x) => 1 / (1 + Math.exp(-x));

  /** Logits (N, V) of the next token at each of the N tokens, and what the way back needs. */
  function forward({ of: w }, tokens, model) {
    const { vocabulary: V, width: C, hidden: F, layers, eps } = model, N = tokens.length;
    let x = new Numbers(N * C);
    for (let i = 0; i < N; i++) for (let c = 0; c < C; c++) {
      x[i * C + c] = w["embedding.weight"][tokens[i] * C + c];
    }
    const blocks = [];
    for (let l = 0; l < layers; l++) {
      const block = `blocks.${l}.`, first = norm(x, w[`${block}norm1.weight`], N, C, eps);
      const [q, k, v] = ["query", "key", "value"].map((name) =>
        linear(first.y, w[`${block}attention.${name}.weight`], N, C, C));
      const { y, shares } = attend(rotate(q, model), rotate(k, model), v, N, model);
      x = linear(y, w[`${block}attention.out.weight`], N, C, C, x.slice());
      const second = norm(x, w[`${block}norm2.weight`], N, C, eps);
      const [gate, up] = ["gate", "up"].map((name) =>
        linear(second.y, w[`${block}mlp.${name}.weight`], N, C, F));
      const inner = gate.map((g, i) => g * sigmoid(g) * up[i]);
      x = linear(inner, w[`${block}mlp.down.weight`], N, F, C, x.slice());
      blocks.push({ first, q, k, v, y, shares, second, gate, up, inner });
    }
    const last = norm(x, w["norm.weight"], N, C, eps);
    const logits = linear(last.y, w["head.weight"], N, C, V), bias = w["head.bias"];
    if (bias) for (let i = 0; i < N * V; i++) logits[i] += bias[i % V];
    return { blocks, last, logits };
  }

  // ---- and backwards: `by` is the loss by a layer's output, (N, outputs) ------------------------

  /** Mean cross-entropy in nats; the logits become the loss by the logits. */
  function crossEntropy(logits, targets) {
    const N = targets.length, V = logits.length / N;
    let loss = 0;
    for (let i = 0; i < N; i++) {
      const row = logits.subarray(i * V, (i + 1) * V), logit = row[targets[i]];
      loss += (softmax(row) - logit) / N;
      row[targets[i]] -= 1;
      for (let v = 0; v < V; v++) row[v] /= N;
    }
    return loss;
  }

  /** Adds to the loss by a layer's weights (F, C); gives, or adds to, the loss by its input x. */
  function linearBack(by, x, w, gradient, N, C, F, out) {
    product(by, [1, F], x, [1, C], [F, C, N], gradient);
    return product(by, [F, 1], w, [1, C], [N, C, F], out);
  }

  /** Adds to the loss by the gain and to `out`, the loss by the norm's input. */
  function normBack(by, { x, scales }, gain, gradient, N, C, out) {
    for (let i = 0; i < N; i++) {
      const scale = scales[i];
      let dot = 0;
      for (let c = 0, at = i * C; c < C; c++, at++) {
        gradient[c] += by[at] * x[at] * scale;
        dot += by[at] * gain[c] * x[at];
      }
      const less = dot * scale ** 3 / C;
      for (let c = 0, at = i * C; c < C; c++, at++) {
        out[at] += by[at] * gain[c] * scale - x[at] * less;
      }
    }
  }

  function attendBack(by, { q, k, v, shares }, N, model) {
    const { width: C, heads, length: T } = model, D = C / heads, root = Math.sqrt(D);
    const [byQ, byK, byV] = [q, k, v].map((x) => new Numbers(x.length));
    eachHead(N, model, (at, head) => {
      const mine = shares.subarray(head * T * T, (head + 1) * T * T);
      const [myQ, myK, myV, myBy] = [q, k, v, by].map((x) => x.subarray(at));
      product(mine, [1, T], myBy, [1, C], [T, D, T], byV.subarray(at), C);
      const scores = product(myBy, [C, 1], myV, [C, 1], [T, T, D]);
      for (let row = 0; row < T * T; row += T) {
        let dot = 0;
        for (let i = row; i < row + T; i++) dot += scores[i] * mine[i];
        for (let i = row; i < row + T; i++) scores[i] = mine[i] * (scores[i] - dot) / root;
      }
      product(scores, [T, 1], myK, [1, C], [T, D, T], byQ.subarray(at), C);
      product(scores, [1, T], myQ, [1, C], [T, D, T], byK.subarray(at), C);
    });
    return [rotate(byQ, model, -1), rotate(byK, model, -1), byV];
  }

  function mlpBack(by, { second, gate, up, inner }, block, { of: w }, { of: g }, N, C, F) {
    const name = (part) => `${block}mlp.${part}.weight`;
    const back = linearBack(by, inner, w[name("down")], g[name("down")], N, F, C);
    const byGate = new Numbers(N * F);
    for (let i = 0; i < N * F; i++) {
      const open = sigmoid(gate[i]);
      byGate[i] = back[i] * up[i] * open * (1 + gate[i] * (1 - open));
      back[i] *= gate[i] * open; // now by `up`
    }
    const out = linearBack(byGate, second.y, w[name("gate")], g[name("gate")], N, C, F);
    return linearBack(back, second.y, w[name("up")], g[name("up")], N, C, F, out);
  }

  /** The loss of windows (N tokens each of inputs and targets), and the loss by each weight. */
  function gradient(weights, inputs, targets, model) {
    const { vocabulary: V, width: C, hidden: F } = model, N = inputs.length, { of: w } = weights;
    const gradients = zeros(model), { of: g } = gradients, x = new Numbers(N * C);
    const { blocks, last, logits } = forward(weights, inputs, model);
    const loss = crossEntropy(logits, targets);
    if (g["head.bias"]) for (let i = 0; i < N * V; i++) g["head.bias"][i % V] += logits[i];
    const normed = (by, kept, name) => normBack(by, kept, w[name], g[name], N, C, x);
    normed(linearBack(logits, last.y, w["head.weight"], g["head.weight"], N, C, V), last,
      "norm.weight");
    for (let l = blocks.length - 1; l >= 0; l--) {
      const block = `blocks.${l}.`, kept = blocks[l], name = (n) => `${block}attention.${n}.weight`;
      normed(mlpBack(x, kept, block, weights, gradients, N, C, F), kept.second,
        `${block}norm2.weight`);
      const byHeads = linearBack(x, kept.y, w[name("out")], g[name("out")], N, C, C);
      const by = new Numbers(N * C), names = ["query", "key", "value"].map(name);
      attendBack(byHeads, kept, N, model).forEach((part, i) =>
        linearBack(part, kept.first.y, w[names[i]], g[names[i]], N, C, C, by));
      normed(by, kept.first, `${block}norm1.weight`);
    }
    for (let i = 0; i < N; i++) for (let c = 0; c < C; c++) {
      g["embedding.weight"][inputs[i] * C + c] += x[i * C + c];
    }
    return { loss, gradients };
  }

  return { MODEL, Numbers, product, softmax, tensors, isMatrix, total, zeros, initial, forward,
    gradient };
}
