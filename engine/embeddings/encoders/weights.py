"""Finding model weights: a local folder, the place for files put by hand, the hub's cache, and last the hub itself.

Nothing is asked of the network when the files are here. What is missing ends in one sentence that names the
files and where to put them; another model is never used instead.
"""

from __future__ import annotations

import os
import re
import socket
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from engine.core.errors import KindredError, WeightsError
from engine.core.files import read_json, storage_errors
from engine.core.progress import SILENT, Progress
from engine.embeddings.encoders.download import fetch
from engine.embeddings.encoders.fingerprint import fingerprint

Alternatives = Sequence[str]


class NotOnHubError(WeightsError):
    """The repository exists and lacks a file that a model of this kind has."""


@dataclass(frozen=True)
class Weights:
    """Files of one model that are on this machine.

    Attributes
    ----------
    folder : Path
        Where they lie, side by side.
    files : list of Path
        The required ones that were found, in the order they were asked for.
    revision : str
        The hub's commit, or a hash of the files.
    """

    folder: Path
    files: list[Path]
    revision: str


@dataclass(frozen=True)
class Wanted:
    """What a model needs.

    Attributes
    ----------
    model : str
        A repository of the hub ("org/name") or a local folder.
    required : list of alternatives
        Of each list the first file that exists is taken.
    optional : list of str
        Fetched where they exist: tokenizers, preprocessing.
    megabytes : int, optional
        Approximate size, for the sentence.
    """

    model: str
    required: list[Alternatives]
    optional: list[str] = field(default_factory=list)
    megabytes: int | None = None


def put_by_hand(model: str) -> Path:
    """Return the folder where a person puts the files of a hub model: KINDRED_WEIGHTS or ~/.cache/kindred/weights."""
    root = os.environ.get("KINDRED_WEIGHTS") or Path.home() / ".cache" / "kindred" / "weights"
    return Path(root).expanduser() / model.replace("/", "--")


def description(model: str) -> dict[str, Any] | None:
    """Return what the config file of a folder or hub id says of its model; None where no such file is here."""
    folders = [Path(model).expanduser(), put_by_hand(model)]
    names = ("open_clip_config.json", "config.json")
    found = next((folder / name for folder in folders for name in names if (folder / name).is_file()), None)
    if found is None and re.fullmatch(r"[\w.-]+/[\w.-]+", model):
        from huggingface_hub import try_to_load_from_cache

        cached = (try_to_load_from_cache(model, name) for name in names)
        found = next((Path(path) for path in cached if isinstance(path, str)), None)
    return None if found is None else read_json(found)


def find_weights(wanted: Wanted, *, progress: Progress = SILENT, download: bool = True) -> Weights:
    """Return the model's files, from the network only when they are nowhere on this machine.

    Raises
    ------
    WeightsError
        Absent and offline, gated, or not on the hub.
    """
    local = Path(wanted.model).expanduser()
    if local.is_dir():
        return _local(local, wanted, f"The folder {local}")
    if local.is_absolute() or wanted.model.startswith(("~", ".")) or wanted.model.count("/") != 1:
        raise WeightsError(
            f"{wanted.model!r} is neither a folder on this machine nor the id of a model.",
            "Ids look like facebook/dinov2-small.",
        )
    by_hand = put_by_hand(wanted.model)
    if by_hand.is_dir():
        return _local(by_hand, wanted, f"The folder {by_hand}")
    with _told(wanted):
        cached = _cached(wanted)
    if cached is not None:
        return cached
    if not download:
        raise AbsentWeightsError(wanted)
    return _download(wanted, progress)


class AbsentWeightsError(WeightsError):
    """The weights are nowhere on this machine, and were not fetched.

    Attributes
    ----------
    wanted : Wanted
        What is missing; `files_of` names it and `put_by_hand` says where it goes.
    """

    def __init__(self, wanted: Wanted, why: str = "") -> None:
        size = f" ({wanted.megabytes:,} MB)" if wanted.megabytes else ""
        names = " and ".join(files_of(wanted))
        super().__init__(
            f"The weights of {wanted.model} are not on this machine{why}: put {names}{size} into "
            f"{put_by_hand(wanted.model)}.",
            f"They are at https://huggingface.co/{wanted.model}; a local folder can also be named as the model.",
        )
        self.wanted = wanted


def files_of(wanted: Wanted) -> list[str]:
    """Return the names of the files that a person would put there by hand: of each list the first."""
    return [alternatives[0] for alternatives in wanted.required]


def _local(folder: Path, wanted: Wanted, what: str) -> Weights:
    files = []
    for alternatives in wanted.required:
        found = next((folder / name for name in alternatives if (folder / name).is_file()), None)
        if found is None:
            raise WeightsError(
                f"{what} holds no {' or '.join(alternatives)}.", "Put it there, or choose the folder that holds it."
            )
        files += [found, *(folder / name for name in _parts(found))]
    gone = next((path.name for path in files if not path.is_file()), None)
    if gone is not None:
        raise WeightsError(f"{what} lacks {gone}, a part of its weights.", "Put it there.")
    extra = [folder / name for name in wanted.optional if (folder / name).is_file()]
    return Weights(folder, files, fingerprint([*files, *extra]))


def _parts(path: Path) -> list[str]:
    """Return the names of the files that an index of divided weights lists; none for any other file."""
    if not path.name.endswith(".index.json"):
        return []
    return sorted(set(read_json(path).get("weight_map", {}).values()))


def _cached(wanted: Wanted) -> Weights | None:
    """Return the model from the hub's cache when every required file is there."""
    from huggingface_hub import try_to_load_from_cache

    def path_of(name: str) -> Path | None:
        found = try_to_load_from_cache(wanted.model, name)
        return Path(found) if isinstance(found, str) else None

    files: list[Path] = []
    for alternatives in wanted.required:
        first = next((path for name in alternatives if (path := path_of(name)) is not None), None)
        if first is None:
            return None
        parts = [path_of(name) for name in _parts(first)]
        if None in parts:
            return None
        files += [first, *(part for part in parts if part is not None)]
    folder = _snapshot(files[0])
    return Weights(folder, files, folder.name)


def _snapshot(path: Path) -> Path:
    """Return .../snapshots/<commit> of a cached file."""
    folder = path.parent
    while folder.parent.name != "snapshots" and folder.parent != folder:
        folder = folder.parent
    return folder


def _download(wanted: Wanted, progress: Progress) -> Weights:
    why = why_unreachable()
    if why:
        raise AbsentWeightsError(wanted, f" and {why}")
    with _told(wanted):
        files: list[Path] = []
        for alternatives in wanted.required:
            first = _first(wanted.model, alternatives, progress)
            if first is None:
                raise NotOnHubError(
                    f"{wanted.model} on the hub has no {' or '.join(alternatives)}.", "It is not a model of this kind."
                )
            files.append(first)
            files += [fetch(wanted.model, name, progress) for name in _parts(first)]
        for name in wanted.optional:
            _first(wanted.model, [name], progress)
    folder = _snapshot(files[0])
    return Weights(folder, files, folder.name)


def _first(model: str, alternatives: Alternatives, progress: Progress) -> Path | None:
    from huggingface_hub.errors import RemoteEntryNotFoundError

    for name in alternatives:
        try:
            return fetch(model, name, progress)
        except RemoteEntryNotFoundError:
            continue
    return None


@contextmanager
def _told(wanted: Wanted) -> Iterator[None]:
    """Turn the hub's errors into sentences."""
    from huggingface_hub import constants, errors

    page = f"https://huggingface.co/{wanted.model}"
    try:
        with storage_errors(Path(constants.HF_HUB_CACHE)):
            yield
    except KindredError:
        raise
    except errors.GatedRepoError as error:
        raise WeightsError(
            f"{wanted.model} is gated: its terms must be accepted at {page} before the weights can be downloaded.",
            "Then sign in on this machine with `hf auth login` and try again.",
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise WeightsError(
            f"There is no model {wanted.model!r} on the hub, or it is private.",
            "Check the id; for a private model sign in with `hf auth login`.",
        ) from error
    except errors.LocalEntryNotFoundError as error:
        raise AbsentWeightsError(wanted, " and the hub cannot be reached") from error
    except errors.HfHubHTTPError as error:
        raise WeightsError(f"The hub refused {wanted.model}: {str(error).splitlines()[0]}", "Try later.") from error
    except errors.HFValidationError as error:
        raise WeightsError(f"{wanted.model!r} is not the id of a model.", "Ids look like org/name.") from error
    except Exception as error:  # the client raises its transport's errors too, and changes its transport
        if isinstance(error, (ConnectionError, TimeoutError)) or type(error).__name__ in _NOT_CONNECTED:
            raise AbsentWeightsError(wanted, " and the hub cannot be reached") from error
        why = str(error).partition("\n")[0] or type(error).__name__
        raise WeightsError(
            f"The download of {wanted.model} broke off: {why}.", "Try again; what has arrived is not fetched twice."
        ) from error


_NOT_CONNECTED = ("ConnectError", "ConnectTimeout", "ProxyError")  # as the transports of the client call them


def why_unreachable(seconds: float = 4.0) -> str:
    """Return why the hub cannot be asked, as half a sentence; empty when it answers.

    The client itself would try for half a minute and more. What the environment says counts here as for the client:
    HF_HUB_OFFLINE, HF_ENDPOINT, HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY.

    Parameters
    ----------
    seconds : float
        How long an answer may take.
    """
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE forbids to ask the hub"
    hub = urlsplit(constants.ENDPOINT)
    proxies = {} if urllib.request.proxy_bypass(hub.hostname or "") else urllib.request.getproxies()
    proxy = proxies.get(hub.scheme) or proxies.get("all") or ""
    address = urlsplit(proxy if "://" in proxy else f"http://{proxy}") if proxy else hub
    try:
        port = address.port or {"https": 443, "http": 80}.get(address.scheme, 1080)
        with socket.create_connection((address.hostname or "", port), timeout=seconds):
            return ""
    except (OSError, ValueError):
        return f"the proxy {address.hostname} cannot be reached" if proxy else "the hub cannot be reached"
