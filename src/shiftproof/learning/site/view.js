// Views as functions of a state: Preact, with htm's templates, which read like the HTML that they make.
import { createContext, h, render } from "preact";
import { useContext, useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import htm from "htm";

export const html = htm.bind(h);
export { createContext, render, useContext, useEffect, useLayoutEffect, useMemo, useRef, useState };
