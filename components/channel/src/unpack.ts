// Reads the layout that components/transfer.py (pack) writes: magic, length of the header, header (JSON), arrays.

import type { Arrays, Entry } from "../../shared/store";

const TYPES = { int32: Int32Array, uint32: Uint32Array, uint16: Uint16Array, uint8: Uint8Array, float32: Float32Array };

interface Header {
  channel: string;
  version: string;
  arrays: Record<string, [dtype: keyof typeof TYPES, offset: number, count: number]>;
}

export function unpack(bytes: Uint8Array): Entry {
  // The bytes lie anywhere inside the message; a copy gives the arrays the alignment they need.
  const buffer = bytes.slice().buffer;
  const length = new DataView(buffer).getUint32(4, true);
  const header: Header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, length)));
  const arrays: Arrays = {};
  for (const [name, [dtype, offset, count]] of Object.entries(header.arrays)) {
    arrays[name] = new TYPES[dtype](buffer, 8 + length + offset, count);
  }
  return { channel: header.channel, version: header.version, arrays };
}
