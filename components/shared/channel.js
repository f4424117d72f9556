// Receives the bytes of one channel (components/transfer.py) and hands them to whoever waits for that version.
const shared = (globalThis.__kindred ??= { channels: new Map(), waiting: new Set() });
const TYPES = { int32: Int32Array, uint32: Uint32Array, uint16: Uint16Array, uint8: Uint8Array, float32: Float32Array };

function unpack(bytes) {
  // The bytes lie anywhere inside the message; a copy gives the arrays the alignment they need.
  const buffer = bytes.slice().buffer;
  const length = new DataView(buffer).getUint32(4, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, length)));
  const arrays = {};
  for (const [name, [dtype, offset, count]] of Object.entries(header.arrays)) {
    arrays[name] = new TYPES[dtype](buffer, 8 + length + offset, count);
  }
  return { channel: header.channel, version: header.version, arrays };
}

const owners = new WeakMap();

export default function ({ data, parentElement }) {
  if (!data || owners.get(parentElement)?.data === data) return undefined;
  const entry = unpack(data);
  owners.set(parentElement, { data, entry });
  shared.channels.set(entry.channel, entry);
  for (const tell of [...shared.waiting]) tell(entry.channel);
  return () => {
    // A superseded call is cleaned up too; only a carrier that left the page lets go of its arrays.
    const current = owners.get(parentElement)?.entry;
    if (!parentElement.isConnected && current && shared.channels.get(current.channel) === current) {
      shared.channels.delete(current.channel);
    }
  };
}
