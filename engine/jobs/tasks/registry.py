"""The registry of verbs: adding one is one function with its request, and one line here.

Everything that runs work asks the registry: the job's process, the command line, the pages and the tests.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from engine.core.errors import InputError
from engine.core.progress import Progress
from engine.core.workspace import Workspace
from engine.jobs.tasks.requests import Request

VerbFunction = Callable[[Workspace, Any, Progress], Any]


@dataclass(frozen=True)
class Verb:
    """One thing that can be done.

    Attributes
    ----------
    name : str
        As in config.json.
    module, called : str
        Where its function is; beside it `<called>_summary(result)`, the small JSON that a job's outcome keeps.
    model : str
        Its request model in the same module.
    computes : bool
        Whether a job of it waits for the device that another job computes on.
    formerly : str
        What older workspaces call it.
    """

    name: str
    module: str
    called: str
    model: str
    computes: bool = True
    formerly: str = ""

    @property
    def function(self) -> VerbFunction:
        """Import and return the function `(workspace, request, progress) -> result`."""
        found: VerbFunction = getattr(import_module(f"engine.jobs.tasks.{self.module}"), self.called)
        return found

    @property
    def request(self) -> type[Request]:
        """Import and return the request model."""
        found: type[Request] = getattr(import_module(f"engine.jobs.tasks.{self.module}"), self.model)
        return found

    def summary(self, result: Any) -> dict[str, Any]:  # noqa: ANN401 - each verb's own result
        """Return what a job's outcome.json keeps of a result."""
        found: dict[str, Any] = getattr(import_module(f"engine.jobs.tasks.{self.module}"), f"{self.called}_summary")(
            result
        )
        return found


_ALL = (
    Verb("scan", "data", "scan_images", "ScanRequest", computes=False),
    Verb("samples", "samples", "prepare_samples", "SamplesRequest", computes=False),
    Verb("embed", "data", "embed_images", "EmbedRequest"),
    Verb("graph", "data", "find_neighbors", "GraphRequest"),
    Verb("duplicates", "duplicates", "duplicates", "DuplicatesRequest", computes=False),
    Verb("map", "data", "project", "MapRequest", computes=False),
    Verb("cluster", "clustering", "cluster_images", "ClusterRequest"),
    Verb("sweep", "selection", "sweep", "SweepRequest"),
    Verb("keep-rank", "boards", "keep_rank", "KeepRankRequest", computes=False),
    Verb("consensus", "consensus", "combine_runs", "ConsensusRequest"),
    Verb("count", "selection", "count_clusters", "CountRequest"),
    Verb("search", "selection", "search_settings", "SearchRequest"),
    Verb("experiment", "experiments", "compare_models", "ExperimentRequest"),
    Verb("name-clusters", "labels", "propose_names", "NamesRequest", formerly="names"),
    Verb("spread", "labels", "spread_labels", "SpreadRequest", computes=False),
    Verb("label-errors", "labels", "find_label_errors", "LabelErrorsRequest", computes=False),
    Verb("simulate", "simulation", "simulate_labelling", "SimulateRequest", computes=False),
    Verb("quality-report", "audits", "report_quality", "QualityReportRequest", computes=False),
    Verb("audit", "audits", "audit_labels", "AuditRequest", computes=False),
    Verb("pseudo-label", "labels", "pseudo_label", "PseudoLabelRequest", computes=False, formerly="pseudo_labels"),
    Verb("analyse", "results", "analyse", "AnalyseRequest", computes=False, formerly="analysis"),
    Verb("explain", "explaining", "explain_run", "ExplainRequest", computes=False),
    Verb("remove-nuisance", "nuisance", "remove_nuisance", "RemoveNuisanceRequest"),
    Verb("new-images", "newcomers", "judge_new_images", "NewImagesRequest"),
    Verb("distil", "results", "distil_run", "DistilRequest"),
    Verb("name", "labels", "name_clusters", "NameRequest", computes=False),
    Verb("import-labels", "imports", "import_labels", "ImportLabelsRequest", computes=False),
    Verb("export", "results", "export_run", "ExportRequest", computes=False),
)

VERBS: dict[str, Verb] = {verb.name: verb for verb in _ALL}
_FORMERLY = {verb.formerly: verb.name for verb in _ALL if verb.formerly}


def verb_name(name: str) -> str:
    """Return the name of a verb, given that or its former one."""
    return _FORMERLY.get(name, name)


def find_verb(name: str) -> Verb:
    """Return the verb called `name`, now or formerly.

    Raises
    ------
    InputError
    """
    try:
        return VERBS[verb_name(name)]
    except KeyError:
        raise InputError(f"There is no kind of job called {name!r}.", f"Known: {', '.join(VERBS)}.") from None
