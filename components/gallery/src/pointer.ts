// Selecting with the pointer: click, Shift, Ctrl, the tick in the corner, and a rectangle drawn over the grid.

import type { Gallery } from "./gallery";
import { GAP } from "./layout";

const START = 6; // px before a press becomes a rectangle

interface Spot {
  x: number;
  y: number;
}

interface Press extends Spot {
  position: number;
  toggle: boolean;
  range: boolean;
  keep: boolean;
  drag?: boolean;
  base?: Uint8Array;
  last?: PointerEvent;
}

export function pointer(g: Gallery): void {
  let press: Press | null = null;
  let timer: ReturnType<typeof setInterval> | null = null;

  const positionOf = (event: Event) => {
    const cell = (event.composedPath() as HTMLElement[]).find((node) => node.classList?.contains("cell"));
    return cell ? Number(cell.dataset.position) : -1;
  };
  const place = (event: MouseEvent): Spot => {
    const box = g.list.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top + g.scroll.top };
  };

  g.list.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    const box = g.list.getBoundingClientRect();
    if (event.clientX - box.left > g.list.clientWidth) return; // the scroll bar
    const tick = (event.composedPath() as HTMLElement[]).some((node) => node.classList?.contains("tick"));
    const several = event.ctrlKey || event.metaKey || g.ticking;
    press = { ...place(event), position: positionOf(event), toggle: tick || several, range: event.shiftKey, keep: several || event.shiftKey };
  });

  g.list.addEventListener("pointermove", (event) => {
    if (!press) return;
    if (event.buttons === 0) {
      end(event); // released outside of the grid
      return;
    }
    const now = place(event);
    if (!press.drag) {
      if (Math.hypot(now.x - press.x, now.y - press.y) < START) return;
      press.drag = true;
      press.base = press.keep ? g.selection.mask.slice() : new Uint8Array(g.n);
      g.list.setPointerCapture(event.pointerId);
      g.rubber.classList.remove("k-hidden");
      timer = setInterval(() => creep(), 30);
    }
    press.last = event;
    cover(now);
  });

  const cover = (now: Spot) => {
    const { pitch, columns, side } = g.grid;
    const [left, right] = [Math.min(press!.x, now.x), Math.max(press!.x, now.x)];
    const [top, bottom] = [Math.min(press!.y, now.y), Math.max(press!.y, now.y)];
    // A cell spans GAP .. GAP + side of its pitch.
    const c0 = Math.max(0, Math.ceil((left - GAP - side) / pitch));
    const c1 = Math.min(columns - 1, Math.floor((right - GAP) / pitch));
    const r0 = Math.max(0, Math.ceil((top - GAP - side) / pitch));
    const r1 = Math.min(g.grid.rows - 1, Math.floor((bottom - GAP) / pitch));
    g.selection.copy(press!.base!);
    for (let row = r0; row <= r1; row++) {
      if (c0 <= c1) g.selection.range(row * columns + c0, Math.min(g.n - 1, row * columns + c1));
    }
    Object.assign(g.rubber.style, {
      transform: `translate(${left}px, ${top + g.scroll.shift}px)`,
      width: `${right - left}px`,
      height: `${Math.min(bottom - top, 30000)}px`,
    });
    g.changed({ quiet: true });
  };

  // Near an edge the grid scrolls on by itself.
  const creep = () => {
    if (!press?.drag) return;
    const box = g.list.getBoundingClientRect();
    const over = press.last!.clientY > box.bottom - 24 ? press.last!.clientY - box.bottom + 24 : Math.min(0, press.last!.clientY - box.top - 24);
    if (over === 0) return;
    g.scroll.to(g.scroll.top + over);
    g.cells.draw();
    cover(place(press.last!));
  };

  const end = (event: PointerEvent) => {
    if (!press) return;
    const was = press;
    press = null;
    clearInterval(timer!);
    g.rubber.classList.add("k-hidden");
    if (was.drag) {
      g.changed({});
      return;
    }
    if (event.type !== "pointerup" || was.position < 0) return;
    g.pick(was.position, { ...was, reveal: false });
  };
  g.list.addEventListener("pointerup", end);
  g.list.addEventListener("pointercancel", end);
  g.list.addEventListener("dblclick", (event) => {
    const position = positionOf(event);
    if (position >= 0) g.viewer.open(position);
  });
}
