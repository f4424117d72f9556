// Receives the bytes of one channel (components/transfer.py) and hands them to whoever waits for that version.

import { type Entry, shared } from "../../shared/store";
import { unpack } from "./unpack";

interface Call {
  data: Uint8Array | null;
  parentElement: HTMLElement;
}

const owners = new WeakMap<HTMLElement, { data: Uint8Array; entry: Entry }>();

export default function ({ data, parentElement }: Call): (() => void) | undefined {
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
