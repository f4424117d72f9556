// Stands in for the code of a component, which arrives by a carrier of its own (components/transfer.py: send_code).
const shared = (globalThis.__kindred ??= { channels: new Map(), waiting: new Set() });
const latest = new WeakMap();

export default function (call) {
  const code = shared.PART;
  if (code) return code(call);
  latest.set(call.parentElement, call);
  const arrived = (event) => {
    if (event !== "code:PART") return;
    shared.waiting.delete(arrived);
    if (latest.get(call.parentElement) === call && call.parentElement.isConnected !== false) shared.PART(call);
  };
  shared.waiting.add(arrived);
  return () => shared.PART?.leave?.(call.parentElement);
}
