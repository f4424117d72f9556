import { expect, test } from "vitest";
import { unpack } from "./unpack";

/** Bytes as components/transfer.py lays them out, `before` bytes into a longer buffer. */
function message(before: number): Uint8Array {
  const arrays = { ids: ["int32", 0, 3], xy: ["float32", 16, 2], marks: ["uint8", 24, 1] };
  const text = JSON.stringify({ channel: "map:geometry", version: "a", arrays });
  const header = new TextEncoder().encode(text.padEnd(8 * Math.ceil(text.length / 8)));
  const bytes = new Uint8Array(before + 8 + header.length + 32).subarray(before);
  const view = new DataView(bytes.buffer, before);
  bytes.set(new TextEncoder().encode("KDR1"));
  view.setUint32(4, header.length, true);
  bytes.set(header, 8);
  const body = 8 + header.length;
  [7, -2, 70_000].forEach((value, i) => view.setInt32(body + 4 * i, value, true));
  [0.5, -0.25].forEach((value, i) => view.setFloat32(body + 16 + 4 * i, value, true));
  view.setUint8(body + 24, 200);
  return bytes;
}

test.each([0, 3])("the arrays are read from a message that begins at byte %i", (before) => {
  const { channel, version, arrays } = unpack(message(before));
  expect([channel, version]).toEqual(["map:geometry", "a"]);
  expect(arrays).toEqual({ ids: Int32Array.from([7, -2, 70_000]), xy: Float32Array.from([0.5, -0.25]), marks: Uint8Array.from([200]) });
});
