// The path: rooms in their order (moves, invariant, convolution, training, mending), and the exhibits of each.
import { back } from "#learn/exhibits/back.js";
import { border } from "#learn/exhibits/border.js";
import { credit } from "#learn/exhibits/credit.js";
import { dense } from "#learn/exhibits/dense.js";
import { drag } from "#learn/exhibits/drag.js";
import { faces } from "#learn/exhibits/faces.js";
import { forgets } from "#learn/exhibits/forgets.js";
import { one } from "#learn/exhibits/one.js";
import { own } from "#learn/exhibits/own.js";
import { photos } from "#learn/exhibits/photos.js";
import { pixels } from "#learn/exhibits/pixels.js";
import { pool } from "#learn/exhibits/pool.js";
import { position } from "#learn/exhibits/position.js";
import { seam } from "#learn/exhibits/seam.js";
import { ship } from "#learn/exhibits/ship.js";
import { ways } from "#learn/exhibits/ways.js";

/** @type {{id: string, exhibits: any[]}[]} */
export const ROOMS = [
  { id: "moves", exhibits: [drag, ship, ways] },
  { id: "invariant", exhibits: [pool, forgets, pixels, border] },
  { id: "convolution", exhibits: [one, dense, photos] },
  { id: "training", exhibits: [credit, faces, position, back] },
  { id: "mending", exhibits: [seam, own] },
];

export const EXHIBITS = ROOMS.flatMap((room) => room.exhibits);
