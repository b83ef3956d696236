// A recurrent layer, h_t = tanh(W [x_t, h_{t-1}]), and the gradient of its last state by W, one summand for each step.

/**
 * All states, from h = 0. Weights lie as (state, input + state); each step may have its own.
 * @param {Float64Array[]} x one input a step @param {Float64Array[]} weights one set a step, or the same one @param {number} size of the state
 */
export function run(x, weights, size) {
  /** @type {Float64Array[]} */
  const states = [];
  x.forEach((input, t) => {
    const z = joined(input, states[t - 1], size);
    states.push(Float64Array.from({ length: size }, (_, s) => Math.tanh(dot(weights[t], s * z.length, z))));
  });
  return states;
}

/** @param {Float64Array} x @param {Float64Array | undefined} h @param {number} size */
const joined = (x, h, size) => Float64Array.from([...x, ...(h ?? new Float64Array(size))]);

/** @param {Float64Array} w @param {number} from @param {Float64Array} z */
function dot(w, from, z) {
  let sum = 0;
  for (let k = 0; k < z.length; k++) sum += w[from + k] * z[k];
  return sum;
}

/** A (rows x n) times B (n x columns). @param {Float64Array} a @param {Float64Array} b @param {number} n */
function product(a, b, n) {
  const columns = b.length / n;
  return Float64Array.from({ length: (a.length / n) * columns }, (_, i) => {
    let sum = 0;
    for (let k = 0; k < n; k++) sum += a[Math.floor(i / columns) * n + k] * b[k * columns + (i % columns)];
    return sum;
  });
}

/** dh_t/dh_{t-1}, and dh_t/dW with h_{t-1} held fixed: (state, state x weights). @param {Float64Array[]} x @param {Float64Array} w @param {number} size */
function factors(x, w, size) {
  const states = run(x, x.map(() => w), size);
  const wide = w.length / size;
  return states.map((h, t) => {
    const z = joined(x[t], states[t - 1], size);
    const jacobian = Float64Array.from({ length: size * size }, (_, i) => (1 - h[Math.floor(i / size)] ** 2) * w[Math.floor(i / size) * wide + x[t].length + (i % size)]);
    const direct = new Float64Array(size * w.length);
    for (let s = 0; s < size; s++) for (let k = 0; k < wide; k++) direct[s * w.length + s * wide + k] = (1 - h[s] ** 2) * z[k];
    return { jacobian, direct };
  });
}

/**
 * The summands of dh_T/dW: (dh_T/dh_{T-1}) ... (dh_{i+1}/dh_i) (dh_i/dW), for each step i.
 * @param {Float64Array[]} x @param {Float64Array} w @param {number} size
 */
export function summands(x, w, size) {
  /** @type {Float64Array} */
  let chain = Float64Array.from({ length: size * size }, (_, i) => (i % (size + 1) === 0 ? 1 : 0));
  return factors(x, w, size)
    .toReversed()
    .map(({ jacobian, direct }) => {
      const found = product(chain, direct, size);
      chain = product(chain, jacobian, size);
      return found;
    })
    .toReversed();
}

/** dh_T/dW carried along from the first step, as the weights are shared. @param {Float64Array[]} x @param {Float64Array} w @param {number} size */
export function gradient(x, w, size) {
  /** @type {Float64Array} */
  let carried = new Float64Array(size * w.length);
  for (const { jacobian, direct } of factors(x, w, size)) carried = product(jacobian, carried, size).map((v, i) => v + direct[i]);
  return carried;
}
