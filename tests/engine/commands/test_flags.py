"""Every flag of every command changes what the command reads, and a switch's two flags are opposites."""

from __future__ import annotations

import argparse
from importlib import import_module

import pytest

from engine.clustering.registry import METHODS
from engine.commands.parser import Parser
from engine.commands.registry import COMMANDS
from engine.core.errors import InputError
from engine.core.settings import Control, Settings, add_flags, controls, from_flags
from engine.embeddings.encoders.registry import ENCODERS
from engine.jobs.tasks.requests import Request

CASES = [(name, ()) for name in COMMANDS]
CASES += [("run", ("--method", name)) for name in METHODS] + [("embed", ("--encoder", name)) for name in ENCODERS]


def models(base=Settings):
    for model in base.__subclasses__():
        yield model
        yield from models(model)


def words_of(control: Control, model: type[Settings]) -> list[str]:
    """Return words that say another value than the default, which the model takes."""
    if control.kind == "bool":
        return []
    tries = [
        *control.choices,
        control.minimum,
        control.maximum,
        0.5,
        1,
        2,
        3,
        7,
        "3",
        "cpu",
        "pca-8",
        "#ff0000",
        "other",
    ]
    if control.kind == "list":
        tries = [*(str(item) for item in (control.default or ())[:1]), "other"]
    for value in tries:
        if value is None or value == control.default or (control.kind == "int" and value != int(float(value or 0))):
            continue
        word = str(int(value)) if control.kind == "int" else str(value)
        typed = {"int": int, "float": float, "list": lambda text: (text,)}.get(control.kind, type(value))(word)
        try:
            if not issubclass(model, Request):
                model.parse({control.name: typed})
        except (InputError, ValueError):
            continue
        return [word]
    raise AssertionError(f"no other value for {model.__name__}.{control.name}")


@pytest.mark.parametrize(("name", "given"), CASES, ids=lambda case: "-".join(case) if isinstance(case, tuple) else case)
def test_every_flag_of_a_settings_model_changes_what_is_read(name, given):
    module = import_module(COMMANDS[name][0])
    known = {model.__name__: model for model in models()}  # the command's own are known once it is imported
    parser = Parser(prog=name)
    module.add_arguments(parser, list(given))
    alone = [*given, *("x" for action in parser._get_positional_actions() if action.nargs in (None, "+"))]
    for action in parser._actions:
        if action.required and action.option_strings:
            alone += [action.option_strings[0], str((action.choices or ("x",))[0])]
    for group in parser._action_groups:
        model = known.get(group.title or "")
        if model is None:
            continue
        by_name = {control.name: control for control in controls(model)}
        for action in group._group_actions:
            prefix = next(part for part in ("encoder-", "preprocess-", "search-", "") if action.dest.startswith(part))
            control = by_name[action.dest.removeprefix(prefix)]
            plain = from_flags(parser.parse_args(alone), model, prefix=prefix)
            for flag in action.option_strings:
                words = [*alone, flag, *words_of(control, model)]
                read = from_flags(parser.parse_args(words), model, prefix=prefix)
                assert set(read) - set(plain) == {control.name}, flag
                if control.kind != "bool":
                    assert read[control.name] != control.default, flag


class Kitchen(Settings):
    """Switches of both kinds."""

    fan: bool = True
    no_light: bool = False


@pytest.mark.parametrize(
    ("word", "read"),
    [
        ("--fan", {"fan": True}),
        ("--no-fan", {"fan": False}),
        ("--no-light", {"no_light": True}),
        ("--light", {"no_light": False}),
    ],
)
def test_a_switch_says_what_it_says_also_where_its_name_begins_with_no(word, read):
    parser = argparse.ArgumentParser()
    add_flags(parser, Kitchen)
    assert from_flags(parser.parse_args([word]), Kitchen) == read
