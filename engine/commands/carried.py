"""Command lines of the programs that Kindred grew out of: their flags, rewritten to those of the commands here.

Flags with underscores are taken everywhere, and CLUDI's without its name; `--model_type clip --clip_model X` is an
encoder and its model. None of these stands in a command's help; docs/coming-from.md lists them.
"""

from __future__ import annotations

from collections.abc import Sequence

# Flag -> flag.
FLAGS = {
    "--clustering-method": "--method",
    "--plot-clusters": "--plot",
    "--random-seed": "--random-state",
    "--input-dir": "--folder",
    "--preprocessing-mode": "--preprocess-mode",
}
# Flag that names an encoder's model -> the encoder.
MODELS = {"--clip-model": "clip", "--dinov2-model": "dino"}
# Names of a flag's value.
VALUES = {
    "--dataset": {"imagenet": "imagenet-1k"},
    "--encoder": {"dinov2": "dino", "dinov3": "dino"},
}


def rewritten(given: Sequence[str]) -> list[str]:
    """Return the words of a command line with the flags of today."""
    words: list[str] = []
    encoder: str | None = None
    for word in given:
        if not word.startswith("--") or word == "--":
            last = words[-1] if words else ""
            words.append(VALUES.get(last, {}).get(word, word))
            continue
        flag, equals, value = word.partition("=")
        flag = flag.replace("_", "-").replace("--cludi-", "--")
        if flag == "--model-type":
            flag = "--encoder"
        if flag in MODELS:
            encoder, flag = MODELS[flag], "--encoder-model"
        flag = FLAGS.get(flag, flag)
        words.append(f"{flag}={VALUES.get(flag, {}).get(value, value)}" if equals else flag)
    if encoder is not None and not any(word.split("=")[0] == "--encoder" for word in words):
        words += ["--encoder", encoder]
    return words
