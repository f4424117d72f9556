"""The Embed page: encoders as cards, one click embeds, and what is missing is said before any job begins."""

import json

import numpy as np
import pytest

from engine.core.workspace import Workspace
from engine.embeddings.configurations import list_configurations
from engine.embeddings.encoders import speed
from engine.embeddings.encoders.availability import forget_network
from engine.embeddings.encoders.registry import ENCODERS, find_encoder
from engine.images.datasets import add_folder
from engine.images.decode import PreprocessSettings
from engine.images.scan import scan
from engine.jobs import job as jobs
from engine.runs.rows import embed_dataset
from tests.pages.conftest import facts
from tests.seed import clustered_pictures, coloured_pictures


@pytest.fixture
def held(monkeypatch, tmp_path):
    """Jobs are made and not run; the hub's cache and the place for files put by hand are empty; no network."""
    monkeypatch.setattr("engine.jobs.job.start", lambda workspace, folder: (folder / "started").touch())
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    monkeypatch.setenv("KINDRED_WEIGHTS", str(tmp_path / "by-hand"))
    forget_network()
    yield
    forget_network()


@pytest.fixture
def photographs(workspace, tmp_path):
    """A scanned folder that nothing was done with."""
    dataset = add_folder(workspace, coloured_pictures(tmp_path / "pictures"))
    scan(workspace, dataset.id)
    return dataset


def opened(app):
    app.run()
    app.switch_page("pages/embed/page.py").run()
    assert not app.exception and not app.error
    return app


def titles(app):
    """The titles of the cards, in order, with their badges."""
    known = {entry.title for entry in ENCODERS.values()}
    words = [text.value for text in app.markdown]
    return [text for text in words if text.startswith("**") and text.split("**")[1].replace("\\", "") in known]


def find(app, key):
    return next(button for button in app.button if button.key == key)


def choose(app, name):
    """Choose an encoder's card and return the button that embeds with it."""
    find(app, f"pick_{name}").click().run()
    assert not app.exception
    return find(app, f"embed_with_{name}")


def embeddings(workspace):
    return [job for job in jobs.list_jobs(workspace) if job.task == "embed"]


def test_every_encoder_of_images_has_a_card_and_the_recommended_one_stands_first(photographs, app, held):
    found = titles(opened(app))
    assert [text.split("**")[1].replace("\\", "") for text in found] == [
        "Photo",
        *(entry.title for entry in ENCODERS.values() if entry.takes == "images" and entry.name != "photo"),
    ]
    assert [text for text in found if "recommended" in text] == found[:1]
    assert "on this disk" in found[0]
    clip = next(text for text in found if text.startswith("**CLIP**"))
    assert "search by words" in clip and "downloads 605 MB" in clip
    assert any("Nothing has to be downloaded" in text.value and "CLIP ViT" in text.value for text in app.markdown)


def test_one_click_on_the_recommended_card_starts_its_embedding(workspace, photographs, app, held):
    button = find(opened(app), "embed_with_photo")
    assert button.label == "Embed 30 images" and button.proto.type == "primary"
    button.click().run()
    assert not app.exception
    (job,) = embeddings(workspace)
    assert (job.config["encoder"], job.config["dataset"]["id"]) == ("photo", photographs.id)
    assert job.config["settings"] == find_encoder("photo").settings_class().model_dump(mode="json")


def test_a_chosen_model_and_its_settings_are_what_is_embedded_with(workspace, photographs, app, held, tmp_path):
    model = "facebook/dinov2-base"
    folder = tmp_path / "by-hand" / model.replace("/", "--")
    folder.mkdir(parents=True)
    for name in ("config.json", "model.safetensors"):
        (folder / name).write_text("{}")
    opened(app)
    assert app.selectbox(key="model_of_dino").value == model  # the first that is on this disk
    assert any(text.startswith("**DINO**") and "recommended" in text for text in titles(app)[:1])
    app.session_state[f"encoder_dino_{model}_resolution_auto"] = False
    app.run()
    choose(app, "dino").click().run()
    assert not app.exception
    (job,) = embeddings(workspace)
    assert (job.config["encoder"], job.config["settings"]["model"]) == ("dino", model)
    assert job.config["settings"]["resolution"] == 32


def test_without_network_what_is_missing_is_said_before_any_job_and_what_works_is_offered(
    workspace, photographs, app, held, tmp_path
):
    choose(opened(app), "clip").click().run()
    assert not app.exception
    assert embeddings(workspace) == []
    sentence = app.warning[0].value.replace("\\", "")
    assert "not on this machine and HF_HUB_OFFLINE forbids to ask the hub" in sentence
    place = tmp_path / "by-hand" / "laion--CLIP-ViT-B-32-laion2B-s34B-b79K"
    assert f"put open_clip_model.safetensors (605 MB) into {place}" in sentence
    copied = app.code[0].value
    assert f"mv open_clip_model.safetensors '{place}/'" in copied
    assert "/laion/CLIP-ViT-B-32-laion2B-s34B-b79K/resolve/main/open_clip_model.safetensors" in copied
    find(app, "embed_instead").click().run()
    assert [job.config["encoder"] for job in embeddings(workspace)] == ["photo"]
    app.run()
    assert not app.warning


def test_with_network_a_model_that_is_not_here_is_embedded_by_a_job_that_downloads_it(
    workspace, photographs, app, held, monkeypatch
):
    monkeypatch.setattr("engine.embeddings.encoders.availability.why_unreachable", lambda: "")
    choose(opened(app), "clip").click().run()
    assert [job.config["encoder"] for job in embeddings(workspace)] == ["clip"]


def test_a_gated_model_says_what_to_accept_and_where_before_any_job(workspace, photographs, app, held, monkeypatch):
    monkeypatch.setattr("engine.embeddings.encoders.availability.why_unreachable", lambda: "")
    opened(app)
    app.selectbox(key="model_of_dino").set_value("facebook/dinov3-vits16-pretrain-lvd1689m").run()
    assert any(text.startswith("**DINO**") and "gated, needs a token" in text for text in titles(app))
    choose(app, "dino").click().run()
    assert embeddings(workspace) == []
    assert "is gated: its terms must be accepted" in app.warning[0].value.replace("\\", "")
    assert app.code[0].value == "hf auth login"


def test_a_name_that_timm_does_not_know_is_told_with_the_nearest(photographs, app, held):
    opened(app)
    app.session_state["encoder_chosen"] = "timm"
    app.session_state["another_model_of_timm"] = "resnet18.a1_in1kk"  # as typed
    app.selectbox(key="model_of_timm").set_value("another model").run()
    assert not app.exception
    assert len(app.selectbox(key="another_model_of_timm").options) > 500
    told = next(text.value for text in app.caption if "timm has no training" in text.value.replace("\\", ""))
    assert "Known: resnet18.a1_in1k" in told.replace("\\", "")
    assert find(app, "embed_with_timm").disabled


def test_the_time_for_a_data_set_is_measured_or_said_to_be_estimated(workspace, photographs, app, held, monkeypatch):
    monkeypatch.setattr(speed, "measure", lambda entry, settings: speed.Speed(10.0, "cpu"))
    entry = find_encoder("photo")
    speed.measure_all(workspace, [(entry, entry.settings_class())])
    opened(app)
    told = [text.value.replace("\\", "") for text in app.markdown]
    assert any("**about 3 seconds for 30 images** :gray[10 images a second (measured here)" in text for text in told)
    assert any("a second (estimated from Photo)" in text and "512 numbers" in text for text in told)
    assert find(app, "embed_with_photo").label == "Embed 30 images · about 3 seconds"


def test_vectors_of_an_encoder_that_is_gone_still_serve_and_the_page_says_so(workspace, tmp_path, app, held):
    rows, _ = clustered_pictures(workspace, coloured_pictures(tmp_path / "pictures"))
    (config,) = (workspace.cache / "embeddings").glob("*/config.json")
    config.write_text(json.dumps(json.loads(config.read_text()) | {"encoder": "long-gone"}))
    opened(app)
    (item,) = list_configurations(workspace, rows.dataset.id)
    assert item.have == 30
    assert any("In use: **long" in text.value for text in app.markdown)
    assert any("Its vectors still serve" in text.value for text in app.caption)


def test_a_person_switches_between_the_encoders_of_a_data_set_in_the_sidebar(workspace, tmp_path, app, held):
    rows, run = clustered_pictures(workspace, coloured_pictures(tmp_path / "pictures"))
    other = embed_dataset(
        workspace,
        rows.dataset.id,
        "descriptor",
        find_encoder("descriptor").settings_class(),
        preprocess=PreprocessSettings.parse({"mode": "resize"}),
    )
    opened(app)
    first = rows.embedding.config_key
    assert "".join(app.query_params.get("run", "")) in ("", run.folder.name)
    box = next(box for box in app.sidebar.selectbox if box.label == "Embedding in use")
    assert box.value == first  # that of the newest run
    box.set_value(other.embedding.config_key).run()
    assert not app.exception
    box = next(box for box in app.sidebar.selectbox if box.label == "Embedding in use")
    assert box.value == other.embedding.config_key
    box.set_value(first).run()
    assert app.session_state["current_run"] == run.folder.name


def test_what_was_just_embedded_is_in_use(workspace, tmp_path, app, held):
    rows, _ = clustered_pictures(workspace, coloured_pictures(tmp_path / "pictures"))
    other = embed_dataset(workspace, rows.dataset.id, "photo", find_encoder("photo").settings_class())
    opened(app)
    folder = jobs.create(workspace.jobs, "embed", "Embedding", {"dataset": {"id": rows.dataset.id}, "encoder": "photo"})
    (folder / "started").touch()
    (folder / "outcome.json").write_text(
        json.dumps({"state": "done", "result": {"config_key": other.embedding.config_key}})
    )
    app.session_state["embedding_started"] = folder.name
    app.run()
    assert not app.exception
    assert any("In use: **Photo**" in text.value for text in app.markdown)


def test_compare_shows_which_neighbours_change_between_two_encoders(workspace, tmp_path, app, held):
    rows, _ = clustered_pictures(workspace, coloured_pictures(tmp_path / "pictures"))
    embed_dataset(workspace, rows.dataset.id, "photo", find_encoder("photo").settings_class())
    app.run()
    app.switch_page("pages/compare/page.py").run()
    app.session_state["view"] = "Encoders"
    app.run()
    assert not app.exception and not app.error
    assert any("of the 10 nearest neighbours" in text.value for text in app.markdown)
    assert 0 < float(facts(app)["kept"].rstrip("%")) <= 100
    app.slider(key="encoder_k").set_value(29).run()
    assert facts(app)["kept"] == "100.0%"
    find(app, "encoder_next").click().run()
    assert not app.exception
    assert any(text.value.startswith("7 to 12 of 30 images") for text in app.caption)


def test_a_measurement_is_kept_and_one_that_fails_is_not_tried_again_at_once(workspace, monkeypatch):
    entry = find_encoder("descriptor")
    settings = entry.settings_class()
    found = speed.measure(entry, settings, seconds=0.05)
    assert found.images_per_second > 0 and found.device == "cpu"

    def broken(entry, settings):
        raise ZeroDivisionError

    monkeypatch.setattr(speed, "measure", broken)
    speed.measure_all(workspace, [(entry, settings)])
    assert speed.kept_speed(Workspace.open(), entry, settings) is None
    assert speed.unmeasured(workspace, [(entry, settings)]) == []


def test_an_estimate_takes_the_nearest_measured_encoder_and_grows_with_the_pixels(workspace, monkeypatch):
    photo, clip = find_encoder("photo"), find_encoder("clip")
    small, large = clip.settings_for("ViT-B-32"), clip.settings_for("ViT-L-14")
    monkeypatch.setattr(speed, "measure", lambda entry, settings: speed.Speed(100.0 if entry is photo else 20.0, "cpu"))
    pairs = [(photo, photo.settings_class()), (clip, small)]
    speed.measure_all(workspace, pairs)
    found = speed.speed(workspace, clip, large, pairs)
    assert found.estimated_from == "CLIP"
    assert found.images_per_second == pytest.approx(20 * 4.4 / 81.0)
    wide = speed.speed(workspace, clip, clip.settings_for("ViT-L-14", 448), pairs)
    assert wide.images_per_second == pytest.approx(found.images_per_second / 4)
    assert np.isfinite(speed.speed(workspace, photo, photo.settings_class(), pairs).images_per_second)
