// Line icons on a 24 px grid, drawn for this project; decoration, the button around one carries its name.

const PATHS = {
  label: "M4 12V5h7l9 9-7 7-9-9M8 9.010v0",
  tick: "M5 12.500l4.500 4.500L19 7.500",
  aside: "M12 21a9 9 0 1 1 0-18 9 9 0 0 1 0 18M5.700 5.700l12.600 12.600",
  move: "M4 12h13M12 6l6 6-6 6M20 4v16",
  like: "M4 5h10v10H4zM17 9v10H8M19 3v4M17 5h4",
  more: "M6 12v0M12 12v0M18 12v0",
  close: "M6 6l12 12M18 6L6 18",
  merge: "M6 4v5l6 5v6M18 4v5l-6 5",
  apart: "M12 20v-6L6 9V4M12 14l6-5V4",
  open: "M14 4h6v6M20 4l-8 8M10 20H4v-6M4 20l8-8",
  check: "M9 12l2 2 4-4M12 3l7 3v6c0 4-3 7-7 9-4-2-7-5-7-9V6z",
  why: "M12 21a9 9 0 1 1 0-18 9 9 0 0 1 0 18M12 11v5M12 8v0",
  back: "M9 7L4 12l5 5M4 12h11a5 5 0 0 1 0 10h-2",
  plus: "M12 5v14M5 12h14",
  search: "M10.500 17a6.500 6.500 0 1 1 0-13 6.500 6.500 0 0 1 0 13M15.500 15.500L21 21",
  magic: "M5 19L15 9M14 4v4M12 6h4M19 12v3M17.500 13.500h3",
  left: "M15 5l-7 7 7 7",
  right: "M9 5l7 7-7 7",
  lock: "M6 11h12v9H6zM8.500 11V8a3.500 3.500 0 0 1 7 0v3",
} as const;

export function Icon({ name }: { name: keyof typeof PATHS }) {
  return (
    <svg viewBox="0 0 24 24" class="k-icon" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}
