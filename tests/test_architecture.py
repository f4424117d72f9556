"""The house stands as docs/architecture.md says: which room may use which, and that nothing goes round in a circle.

Imports are read from the source: at the top of a module, and inside its functions just as well. What stands under
`if TYPE_CHECKING` is no import.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
PARTS = ("engine", "pages", "components")

# From left to right: a room imports only rooms to its left.
ROOMS = (
    "core",
    "images",
    "embeddings",
    "geometry",
    "clustering",
    "evaluation",
    "selection",
    "labels",
    "distillation",
    "runs",
    "export",
    "jobs",
    "commands",
)
# These three stand side by side: none imports another.
SIDE_BY_SIDE = ("selection", "labels", "distillation")


def test_no_import_goes_round_in_a_circle() -> None:
    assert list(circles(imports())) == []


def test_a_circle_is_found_where_there_is_one() -> None:
    assert list(circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"d"}, "e": {"a"}})) == [["b", "c"], ["d"]]


def test_a_room_imports_only_rooms_to_its_left() -> None:
    wrong = []
    for module, targets in imports().items():
        for target in targets:
            here, there = room(module), room(target)
            if here in ROOMS and there in ROOMS and here != there:
                beside = here in SIDE_BY_SIDE and there in SIDE_BY_SIDE
                if beside or ROOMS.index(there) > ROOMS.index(here):
                    wrong.append(f"{module} imports {target}")
    assert sorted(wrong) == []


def test_the_engine_knows_nothing_of_the_screen() -> None:
    wrong = [
        f"{module} imports {name}"
        for module, names in every_import().items()
        for name in names
        if module.split(".")[0] == "engine" and name.split(".")[0] in ("streamlit", "pages", "components")
    ]
    assert sorted(wrong) == []


def test_the_components_know_nothing_of_the_pages() -> None:
    wrong = [
        f"{module} imports {target}"
        for module, targets in imports().items()
        for target in targets
        if module.split(".")[0] == "components" and target.split(".")[0] == "pages"
    ]
    assert sorted(wrong) == []


def test_a_screen_imports_no_other_screen() -> None:
    """Only the list of the screens names them all."""
    wrong = [
        f"{module} imports {target}"
        for module, targets in imports().items()
        for target in targets
        if screen(module) and screen(target) and screen(module) != screen(target)
    ]
    assert sorted(wrong) == []


def test_what_is_shared_has_two_users_or_more() -> None:
    users: dict[str, set[str]] = {module: set() for module in modules() if module.startswith("pages.shared.")}
    for module, targets in (imports() | {"app": project_imports(PROJECT / "app.py", "app")}).items():
        for target in targets & users.keys():
            users[target].add(module)
    assert sorted(module for module, found in users.items() if len(found) < 2) == []


def test_the_engine_holds_rooms_and_nothing_beside_them() -> None:
    found = {path.name for path in (PROJECT / "engine").iterdir() if path.name != "__pycache__"}
    assert found == {*ROOMS, "__init__.py", "__main__.py"}


# What asks a library whether there is a GPU, how many threads it may use, or that it computes the same each time.
ONLY_IN_DEVICE = {
    "cuda.is_available": "gpus",
    "mps.is_available": "gpus",
    "device_count": "gpus",
    "get_num_gpus": "gpus",
    "is_built": "gpus",
    "set_num_threads": "use_threads",
    "set_num_interop_threads": "use_threads",
    "omp_set_num_threads": "use_threads threads_for",
    "threadpool_limits": "use_threads threads_for",
    "use_deterministic_algorithms": "reproducible",
}


def test_one_room_decides_about_devices_and_threads() -> None:
    wrong, found = list[str](), set[str]()
    for path in sorted(
        [PROJECT / "app.py", *(p for part in (*PARTS, "benchmarks") for p in (PROJECT / part).rglob("*.py"))]
    ):
        for function, called in calls(ast.parse(path.read_text(encoding="utf-8"))):
            for name, allowed in ONLY_IN_DEVICE.items():
                if called == name or called.endswith(f".{name}"):
                    found.add(name)
                    if path != PROJECT / "engine/core/device.py" or function not in allowed.split():
                        wrong.append(f"{path.relative_to(PROJECT)}: {function} calls {called}")
    assert wrong == []
    assert {"cuda.is_available", "mps.is_available", "set_num_threads", "use_deterministic_algorithms"} <= found


def test_calls_are_found_with_the_function_that_makes_them() -> None:
    tree = ast.parse("a.b.c()\ndef f():\n    def g():\n        x.y()\n    z()")
    assert sorted(calls(tree)) == [("", "a.b.c"), ("f", "z"), ("g", "x.y")]


@pytest.mark.parametrize("name", ROOMS)
def test_a_room_says_what_it_holds_and_imports_nothing_by_itself(name: str) -> None:
    tree = ast.parse((PROJECT / "engine" / name / "__init__.py").read_text(encoding="utf-8"))
    assert len(ast.get_docstring(tree) or "") > 40
    named = [alias.name for node in ast.walk(tree) for alias in getattr(node, "names", ())]
    assert named in ([], ["annotations"])


def test_no_folder_hands_on_what_another_module_holds() -> None:
    """An `__init__` of the engine or of pages/shared imports nothing of the project: no re-exports."""
    wrong = [
        f"{module} imports {target}"
        for module, targets in imports().items()
        for target in targets
        if modules()[module].name == "__init__.py" and not screen(module) and not module.startswith("components.")
    ]
    assert sorted(wrong) == []


def test_the_formatter_has_no_exceptions() -> None:
    skip = "fmt: " + "skip"
    found = [path for part in (*PARTS, "tests", "benchmarks", "docs") for path in (PROJECT / part).rglob("*.py")]
    assert [str(path) for path in [*found, PROJECT / "app.py"] if skip in path.read_text(encoding="utf-8")] == []


# ------------------------------------------------------------------------------------------------ reading imports


@cache
def modules() -> dict[str, Path]:
    """Return the file of each module of the project by its dotted name; a package is its `__init__`."""
    found = {}
    for part in PARTS:
        for path in (PROJECT / part).rglob("*.py"):
            names = list(path.relative_to(PROJECT).with_suffix("").parts)
            found[".".join(names[:-1] if names[-1] == "__init__" else names)] = path
    return found


@cache
def imports() -> dict[str, set[str]]:
    """Return which modules of the project each module imports."""
    return {module: project_imports(path, module) for module, path in modules().items()}


@cache
def every_import() -> dict[str, set[str]]:
    """Return the dotted names that each module imports, libraries too."""
    return {module: {name for name, _ in imported(path, module)} for module, path in modules().items()}


def project_imports(path: Path, module: str) -> set[str]:
    """Return the modules of the project that one file imports, itself left out."""
    found = set()
    for name, member in imported(path, module):
        whole = f"{name}.{member}" if member else name
        target = whole if whole in modules() else name
        if target in modules() and target != module:
            found.add(target)
    return found


def imported(path: Path, module: str) -> Iterator[tuple[str, str]]:
    """Yield (module, name or "") of each import statement of a file, wherever in the file it stands."""
    for node in statements(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            yield from ((node.module or "", alias.name) for alias in node.names)


def calls(tree: ast.AST, function: str = "") -> Iterator[tuple[str, str]]:
    """Yield (the innermost function around it, the dotted name that is called) of every call."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            yield function, ast.unparse(node.func)
        yield from calls(node, node.name if isinstance(node, ast.FunctionDef) else function)


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """Yield every node below, without the bodies of `if TYPE_CHECKING`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            continue
        yield child
        yield from statements(child)


def room(module: str) -> str:
    """Return the engine's room that a module belongs to, "" outside."""
    names = module.split(".")
    return names[1] if names[0] == "engine" and len(names) > 1 else ""


def screen(module: str) -> str:
    """Return the screen that a module belongs to, "" where it is shared or no page."""
    names = module.split(".")
    inside = names[0] == "pages" and len(names) > 1 and (PROJECT / "pages" / names[1]).is_dir()
    return names[1] if inside and names[1] != "shared" else ""


def circles(graph: dict[str, set[str]]) -> Iterator[list[str]]:
    """Yield each group of modules that reach one another, sorted."""
    reach: dict[str, set[str]] = defaultdict(set)
    for start in graph:
        waiting = list(graph[start])
        while waiting:
            module = waiting.pop()
            if module not in reach[start]:
                reach[start].add(module)
                waiting.extend(graph.get(module, ()))
    told: set[str] = set()
    for module in sorted(graph):
        if module in reach[module] and module not in told:
            group = sorted({module} | {other for other in reach[module] if module in reach[other]})
            told.update(group)
            yield group
