"""Generations of a store: a forced regeneration fills `<key>.next` and takes the place of `<key>` only when complete.

A crash at any step leaves either the old generation in place or a complete new one that the next opening swaps in.
"""

from __future__ import annotations

import time

from engine.core.files import write_json
from engine.core.ids import pack
from engine.embeddings.exchange import DONE, beside, finish_swap
from engine.embeddings.store import EmbeddingStore


def next_generation(store: EmbeddingStore) -> EmbeddingStore:
    """Return the store that a forced regeneration fills; an interrupted one goes on where it stopped."""
    return type(store)(beside(store.folder, "next"), store.settings | {"made": time.time()})


def swap(store: EmbeddingStore, fresh: EmbeddingStore) -> None:
    """Put a finished generation in the old one's place; rows that it did not make again are carried over."""
    for keys, rows in store.shards():
        fresh.append(keys, rows)
    lost = [(key, why) for key, why in store.failures().items() if not fresh.holds(pack(key))[0]]
    fresh.record_failures(lost)
    write_json(fresh.folder / DONE, {"finished": time.time()})
    finish_swap(store.folder)
    store.settings = fresh.settings
    store.refresh()
