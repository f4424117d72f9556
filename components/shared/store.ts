// What the components share; it lives on globalThis because each component is a module of its own.

/** The typed arrays of one channel, by name. */
export type Arrays = Record<string, Int32Array | Uint32Array | Uint16Array | Uint8Array | Float32Array>;

/** What a channel received last. */
export interface Entry {
  channel: string;
  version: string;
  arrays: Arrays;
}

interface Store {
  channels: Map<string, Entry>;
  waiting: Set<(channel: string) => void>;
  memories?: Map<string, object>;
  stamped?: number;
  [part: string]: unknown; // the code of each component
}

export const shared: Store = ((globalThis as { __kindred?: Store }).__kindred ??= { channels: new Map(), waiting: new Set() });
