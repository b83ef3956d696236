// The whole numbers of the experiment `equivariance`: the Mersenne Twister (Matsumoto and Nishimura 1998) from a small seed, which
// is torch's generator on a processor.

const [WORDS, MIDDLE] = [624, 397];

/** A generator of whole numbers below 2 ** 32. @param {number} seed */
function twister(seed) {
  const held = new Uint32Array(WORDS);
  held[0] = seed;
  for (let i = 1; i < WORDS; i++) held[i] = Math.imul(1812433253, held[i - 1] ^ (held[i - 1] >>> 30)) + i;
  let at = WORDS;
  function twist() {
    for (let i = 0; i < WORDS; i++) {
      const joined = (held[i] & 0x80000000) | (held[(i + 1) % WORDS] & 0x7fffffff);
      held[i] = held[(i + MIDDLE) % WORDS] ^ (joined >>> 1) ^ (joined & 1 ? 0x9908b0df : 0);
    }
    at = 0;
  }
  return () => {
    if (at === WORDS) twist();
    let y = held[at++];
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  };
}

const [LEAST, MANY] = [-4, 9];

/** n whole numbers from -4 to 4. @param {number} n @param {number} seed */
export function whole(n, seed) {
  const next = twister(seed);
  return Float64Array.from({ length: n }, () => (next() % MANY) + LEAST);
}
