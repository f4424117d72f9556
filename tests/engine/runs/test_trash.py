"""What is deleted lies in the bin whole, can be put back, and never replaces what took its place."""

from engine.runs.run import list_runs, open_run
from engine.runs.trash import restore_run, trash_run, trashed_runs
from tests.engine.runs.test_run import save


def test_a_deleted_run_lies_in_the_bin_whole(workspace):
    run = save(workspace.runs / "one")
    kept = trash_run(workspace, run)
    assert not run.folder.exists()
    assert kept.parent == workspace.library / "bin"
    assert open_run(kept).assignments.tolist() == [0, -1, 1]
    again = trash_run(workspace, save(workspace.runs / "one"))
    assert again != kept
    assert open_run(kept).finished  # the first one is still there


def test_the_bin_is_listed_with_the_last_deletion_first(workspace):
    assert trashed_runs(workspace) == []
    first, second = save(workspace.runs / "b"), save(workspace.runs / "a")
    gone = [trash_run(workspace, run) for run in (first, second)]
    assert [run.folder for run in trashed_runs(workspace, "d")] == gone[::-1]
    assert trashed_runs(workspace, "another") == []
    assert list_runs(workspace) == []


def test_a_run_is_put_back_under_its_name_or_beside_what_has_it_now(workspace):
    trash_run(workspace, save(workspace.runs / "one_20260101-120000"))
    trash_run(workspace, save(workspace.runs / "one_20260101-120000"))
    put_back = [restore_run(workspace, run).folder.name for run in trashed_runs(workspace)]
    assert put_back == ["one_20260101-120000", "one_20260101-120000_2"]
    assert trashed_runs(workspace) == []
    assert all(run.assignments.tolist() == [0, -1, 1] for run in list_runs(workspace))
