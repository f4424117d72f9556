"""Every line of docs/coming-from.md: what stands under "ours" is read as it is, and runs on small data in its place."""

from __future__ import annotations

import json
import re
import shlex
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from engine.__main__ import main
from engine.commands.carried import rewritten
from engine.commands.parser import Parser
from engine.commands.registry import COMMANDS
from tests.seed import coloured_pictures

PAGE = (Path(__file__).parents[2] / "docs" / "coming-from.md").read_text(encoding="utf-8")
OURS = [line for line in re.findall(r"\| `([^`]*)` \|$", PAGE, flags=re.MULTILINE) if line.startswith("python")]
SMALL = {
    "temi": "--n-heads 2 --hidden-dim 16 --bottleneck-dim 8 --num-epochs 2 --num-clusters 4",
    "four_term": "--hidden-dim 16 --projection-dim 8 --num-epochs 2 --num-clusters 4",
    "cludi": "--num-epochs 2 --width 16 --n-samples 2 --sampling-steps 2 --num-clusters 4 --batch-size 60",
    "cpp": "--width 16 --feature-dim 8 --batch-size 60 --num-epochs 5 --warmup-steps 1 --num-clusters 4",
    "hadis": "--backbone resnet_small --projector-width 16 --num-epochs 1 --image-size 8 --batch-size 600",
}
LIGHT = {
    "distil": "--distill-epochs 1 --seeds 1 --n-experts 1",
    "search": "--search-trials 1 --search-epochs 1",
    "sweep": "--algorithms kmeans --max-combinations 2 --no-stability",
    "experiment": "--algorithms kmeans --max-combinations 2 --no-stability --models descriptor",
}


@pytest.fixture
def places(workspace, tmp_path):
    """Small stand-ins of the places that the page names in capitals."""
    rng = np.random.default_rng(0)
    truth = np.arange(120) % 4
    rows = (rng.normal(size=(4, 16))[truth] * 5 + rng.normal(size=(120, 16))).astype(np.float32)
    vectors, features = tmp_path / "vectors.npz", tmp_path / "features"
    features.mkdir()
    np.savez(vectors, vectors=rows, labels=[f"c{t}" for t in truth])
    np.save(features / "train_features.npy", rows[:100])
    np.save(features / "train_labels.npy", truth[:100])
    np.save(features / "test_features.npy", rows[100:])
    np.save(features / "test_labels.npy", truth[100:])
    np.save(tmp_path / "embeddings.npy", rows)
    (tmp_path / "image_paths.json").write_text(json.dumps([f"{at}.png" for at in range(120)]))
    pictures = coloured_pictures(tmp_path / "pictures")
    words = tmp_path / "words.txt"
    words.write_text("red\ngreen\nblue\n")
    return {
        "VECTORS": vectors,
        "FEATURES": features,
        "EMBEDDINGS": tmp_path / "embeddings.npy",
        "IMAGE_PATHS": tmp_path / "image_paths.json",
        "OUTPUT": tmp_path / "output",
        "PHOTOS": pictures,
        "WORDS": words,
        "PHOTO": sorted(path for path in pictures.rglob("*") if path.is_file())[0],
    }


@pytest.fixture
def run_folder(places, capsys):
    """A small finished run of TEMI, of the stand-in vectors."""
    words = ["run", "--method", "temi", "--vectors", places["VECTORS"], *SMALL["temi"].split(), "--save-features"]
    assert main([str(word) for word in words]) == 0
    return Path(capsys.readouterr().out.splitlines()[-1])


@pytest.fixture
def cpp_run(places, capsys):
    """A small finished run of CPP, of the stand-in vectors."""
    words = ["run", "--method", "cpp", "--vectors", places["VECTORS"], *SMALL["cpp"].split()]
    assert main([str(word) for word in words]) == 0
    return Path(capsys.readouterr().out.splitlines()[-1])


def test_the_page_names_the_commands_of_five_programs():
    assert len(OURS) > 20 and PAGE.count("| your command | ours |") == 5


@pytest.mark.parametrize("line", OURS)
def test_a_line_is_read_as_it_stands(line):
    command, *words = shlex.split(line)[3:]
    module, given = import_module(COMMANDS[command][0]), rewritten(words)
    parser = Parser(prog=command)
    module.add_arguments(parser, given)
    parser.parse_args(given)


@pytest.mark.parametrize("line", OURS)
def test_a_line_runs_on_small_data(line, places, request, capsys):
    words = rewritten(shlex.split(line)[3:])
    if "CPP_RUN" in words:
        places |= {"CPP_RUN": request.getfixturevalue("cpp_run")}
    if {"RUN", "CHECKPOINT"} & set(words):
        folder = request.getfixturevalue("run_folder")
        places |= {"RUN": folder, "CHECKPOINT": next((folder / "checkpoints").glob("*.pt"))}
    small: list[str] = []
    for at, word in enumerate(words):
        before = words[at - 1] if at else ""
        if before == "--dataset":
            small += ["digits"] if "hadis" in words else [str(places["VECTORS"])]
        elif word == "--dataset" and "hadis" not in words:
            small.append("--vectors")
        elif before not in ("--encoder", "--encoder-model") and word not in ("--encoder", "--encoder-model"):
            small.append(str(places.get(word, word)))
    method = words[words.index("--method") + 1] if "--method" in words else ""
    small += SMALL.get(method, "").split() + LIGHT.get(words[0], "").split()
    if words == ["sweep", "--mode", "fast"]:  # takes the newest embeddings, so there must be some
        assert main(["embed", "--vectors", str(places["VECTORS"])]) == 0
    status, said = main(small), capsys.readouterr().err
    if words[0] == "name-clusters":  # no encoder that reads text comes without a download
        assert status == 2 and "words cannot be turned" in said
    else:
        assert status == 0, said
