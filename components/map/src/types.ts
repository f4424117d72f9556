// What a map is told by Python, remembers, and stands in.

import type { Outbox } from "../../shared/channels";
import type { MapMessage, RegionItem } from "../../workbench/src/protocol";

/** What Python says of a map; one that stands alone hears which of its actions were carried out. */
export type MapData = MapMessage & { acted?: number };

export type Tool = MapMessage["tool"];
export type LegendItem = MapMessage["legend"][number];

/** A place: x and y, in data coordinates, in those of [-1, 1], or in px from the top left. */
export type Point = [x: number, y: number];

/** Where in the view the map is, as the drawing library keeps it: a matrix of 4 x 4. */
export type View = Float32Array;

/** What a map is a part of. */
export interface MapHost {
  outbox: Outbox;
  about(): Record<string, unknown>;
  cleared(): void;
  enlarge(pane: "map"): void;
}

/** What is kept under the map's key while its element comes and goes. */
export interface Memory {
  tool: Tool;
  view: View;
  version: string;
  regions: RegionItem[];
  nonce: number;
}
