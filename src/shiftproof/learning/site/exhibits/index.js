// The path: rooms in their order, and the exhibits of each.
import { drag } from "#learn/exhibits/drag.js";

/** @type {{id: string, exhibits: any[]}[]} */
export const ROOMS = [{ id: "moves", exhibits: [drag] }];

export const EXHIBITS = ROOMS.flatMap((room) => room.exhibits);
