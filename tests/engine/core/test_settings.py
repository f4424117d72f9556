"""One declaration, three faces: the key, the flags and the controls of a model agree, for every registered model."""

import argparse
from typing import Literal

import pytest
from pydantic import model_validator

from engine.clustering.registry import METHODS
from engine.core.errors import InputError
from engine.core.settings import Settings, add_flags, controls, from_flags, setting
from engine.embeddings.encoders.registry import ENCODERS


class Oven(Settings):
    heat: float = setting(180.0, "Degrees, 100% exact.", ge=50, le=300, step=5, log=True, search=(100.0, 250.0))
    n_clusters: int = setting(3, "Loaves.", ge=1, le=9)
    fan: bool = setting(False, "Hot air.", advanced=True)
    mode: Literal["top", "both"] = setting("both", "Which side.")
    racks: tuple[int, ...] = setting((1, 2), "Racks in use.")
    door: str = setting("shut", "The door.", label="Oven door")
    timer: int | None = setting(None, "Minutes.", ge=1, le=60)
    device: str = setting("auto", "Where.", runtime=True)

    @model_validator(mode="after")
    def _safe(self):
        if self.fan and self.heat > 250:
            raise ValueError("the fan does not stand more than 250 degrees")
        return self


def parse(model, words, **options):
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_flags(parser, model, **options)
    return model.parse(from_flags(parser.parse_args(words), model, prefix=options.get("prefix", "")))


def test_the_key_is_of_what_is_computed_not_where():
    assert Oven().key() == Oven().key() == Oven.parse({"heat": 180}).key()
    assert Oven(device="cuda").key() == Oven().key()
    different = [Oven(heat=181).key(), Oven(fan=True).key(), Oven(racks=(2, 1)).key(), Oven(timer=1).key()]
    assert len({*different, Oven().key()}) == 5


def test_a_key_never_changes_or_every_cache_would_be_lost():
    assert Oven().key() == "0607c99470f3a77fd134762592550fe6"


def test_two_models_with_equal_values_have_different_keys():
    class Stove(Oven):
        pass

    assert Stove().key() != Oven().key()


def test_settings_are_frozen_and_closed():
    with pytest.raises(ValueError):
        Oven().heat = 3
    with pytest.raises(InputError, match="colour") as told:
        Oven.parse({"colour": "red"})
    assert "heat" in told.value.hint


@pytest.mark.parametrize(
    ("values", "field", "given"),
    [
        ({"heat": 1000}, "heat", "1000"),
        ({"heat": "hot"}, "heat", "hot"),
        ({"heat": float("nan")}, "heat", "nan"),
        ({"n_clusters": 0}, "n_clusters", "0"),
        ({"mode": "side"}, "mode", "side"),
        ({"racks": ["x"]}, "racks", "x"),
    ],
)
def test_a_bad_value_is_one_sentence_with_field_and_value(values, field, given):
    with pytest.raises(InputError) as told:
        Oven.parse(values)
    assert field in told.value.sentence
    assert given in told.value.sentence
    assert "\n" not in str(told.value)


def test_a_rule_across_fields_is_told_in_its_own_words():
    with pytest.raises(InputError, match="the fan does not stand more than 250 degrees"):
        Oven.parse({"fan": True, "heat": 260})
    with pytest.raises(InputError, match="fan"):
        Oven(heat=260).changed(fan=True)


def test_changed_leaves_the_original_alone():
    first = Oven()
    assert first.changed(heat=200).heat == 200
    assert first.heat == 180


def test_controls_know_kind_bounds_and_words():
    found = {control.name: control for control in controls(Oven)}
    assert [*found] == [*Oven.model_fields]
    kinds = {name: control.kind for name, control in found.items()}
    assert kinds == {
        "heat": "float",
        "n_clusters": "int",
        "fan": "bool",
        "mode": "choice",
        "racks": "list",
        "door": "text",
        "timer": "int",
        "device": "text",
    }
    assert (found["heat"].minimum, found["heat"].maximum, found["heat"].step, found["heat"].log) == (50, 300, 5, True)
    assert found["heat"].search == (100.0, 250.0)
    assert (found["timer"].optional, found["timer"].minimum, found["heat"].optional) == (True, 1, False)
    assert found["mode"].choices == ("top", "both")
    assert (found["door"].label, found["n_clusters"].label) == ("Oven door", "Number of clusters")
    assert (found["fan"].advanced, found["device"].runtime, found["heat"].runtime) == (True, True, False)


def test_flags_give_what_was_said_and_leave_the_rest_to_the_defaults():
    assert parse(Oven, []) == Oven()
    words = "--heat 90.5 --num-clusters 4 --fan --mode top --racks 3 4 --door ajar --timer 5".split()
    assert parse(Oven, words) == Oven(heat=90.5, n_clusters=4, fan=True, mode="top", racks=(3, 4), door="ajar", timer=5)
    assert parse(Oven, ["--no-fan", "--n-clusters", "2"]) == Oven(n_clusters=2)
    assert parse(Oven, ["--oven-heat", "99"], prefix="oven-") == Oven(heat=99)


def test_flags_may_be_skipped():
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_flags(parser, Oven, skip={"heat"})
    assert from_flags(parser.parse_args([]), Oven) == {}
    assert "--heat" not in parser.format_help()
    assert "--door" in parser.format_help()


MODELS = [
    *(pytest.param(method.settings_class, id=name) for name, method in METHODS.items()),
    *(pytest.param(entry.settings_class, id=f"encoder-{name}") for name, entry in ENCODERS.items()),
]


def words_of(model):
    """Return the flags that say every default of a model aloud."""
    words = []
    for control in controls(model):
        flag = f"--{control.name.replace('_', '-')}"
        if control.default is None:
            continue
        if control.kind == "bool":
            words.append(flag if control.default else f"--no-{flag[2:]}")
        elif control.kind == "list":
            words += [flag, *map(str, control.default)] if control.default else []
        else:
            words += [flag, str(control.default)]
    return words


@pytest.mark.parametrize("model", MODELS)
def test_every_registered_model_round_trips_through_its_flags(model):
    assert parse(model, words_of(model)) == model()
    parser = argparse.ArgumentParser()
    add_flags(parser, model)
    assert all(f"--{name.replace('_', '-')}" in parser.format_help() for name in model.model_fields)


@pytest.mark.parametrize("model", MODELS)
def test_every_registered_model_can_be_drawn(model):
    for control in controls(model):
        assert control.help.strip(), control.name
        if control.kind in ("int", "float"):
            assert control.minimum is not None, control.name
            assert control.maximum is not None, control.name
            if control.default is not None:
                assert control.minimum <= control.default <= control.maximum, control.name
        if isinstance(control.search, tuple):
            assert control.minimum <= control.search[0] < control.search[1] <= control.maximum, control.name


@pytest.mark.parametrize("method", METHODS)
def test_a_method_beside_every_encoder_gives_one_parser(method):
    from engine.commands.run import add_arguments

    for encoder in ENCODERS:
        parser = argparse.ArgumentParser()
        add_arguments(parser, ["--method", method, "--encoder", encoder])
        assert parser.parse_args(["--method", method]).method == method


def test_aliases_of_the_house():
    parser = argparse.ArgumentParser()
    add_flags(parser, METHODS["temi"].settings_class)
    found = parser.parse_args(["--num-clusters", "7", "--seed", "4", "--num-epochs", "9"])
    assert (found.n_clusters, found.random_state, found.n_epochs) == (7, 4, 9)


def test_names_are_told_in_words():
    class Named(Settings):
        n_heads: int = setting(1, "Heads.")
        min_clusters: int = setting(1, "Fewest.")
        distill_lr: float = setting(0.1, "Rate.")
        ema: float = setting(0.9, "Average.")
        random_state: int = setting(0, "Seed.")
        named: int = setting(0, "Named.", label="By the model")

    labels = [control.label for control in controls(Named)]
    assert labels == ["Number of heads", "Min clusters", "Distill learning rate", "EMA", "Seed", "By the model"]
