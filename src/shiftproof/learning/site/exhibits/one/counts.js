// What a layer costs, dense, local (a kernel for each place) and shared (one kernel): counted from its sizes, without biases.

export const LAYERS = ["row", "digits", "filters", "edge"];
export const WEIGHINGS = ["dense", "local", "shared"];
export const COUNTED = ["weights", "products", "operations", "entries"];

/** @typedef {{inputs: number, places: number, filters: number, taps: number}} Sizes */

/**
 * Inputs, output places, filters and taps of a kernel.
 * @param {string} layer @param {number} row @param {number} taps of the row
 * @returns {Sizes}
 */
export function sizes(layer, row, taps) {
  const side = 28;
  const [width, height] = [320, 280]; // the photograph of Goodfellow et al. 2016, figure 9.6, less its left neighbour
  if (layer === "row") return { inputs: row, places: row, filters: 1, taps };
  if (layer === "digits") return { inputs: side ** 2, places: side ** 2, filters: 8, taps: 5 ** 2 };
  if (layer === "filters") return { inputs: side ** 2, places: side ** 2, filters: 32, taps: 3 ** 2 };
  return { inputs: width * height, places: (width - 1) * height, filters: 1, taps: 2 };
}

/**
 * For dense, local, shared. Operations: a kernel of k taps multiplies k times and adds k - 1 times; a matrix does both for each
 * of its entries, as the book counts. Entries: of the matrix that does the same, zeros too.
 * @param {Sizes} s
 */
export function counts({ inputs, places, filters, taps }) {
  const outputs = places * filters;
  const entries = inputs * outputs;
  const near = { products: outputs * taps, operations: outputs * (2 * taps - 1), entries };
  return [
    { weights: entries, products: entries, operations: 2 * entries, entries },
    { weights: outputs * taps, ...near },
    { weights: filters * taps, ...near },
  ];
}
