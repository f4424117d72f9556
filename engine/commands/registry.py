"""The commands of `python -m engine`: name -> (module, one sentence). Adding one is one file and one line.

A command module has `add_arguments(parser, given)` and `main(arguments) -> exit status`.
"""

COMMANDS: dict[str, tuple[str, str]] = {
    "app": ("engine.commands.app", "start the app (`kindred` alone does this, too)"),
    "run": ("engine.commands.run", "cluster a data set, a folder or vectors into a run folder"),
    "samples": ("engine.commands.samples", "make the sample sets ready to look at"),
    "scan": ("engine.commands.scan", "look at every image: readable, broken, there twice"),
    "relocate": ("engine.commands.relocate", "say where a moved folder lies now; labels and clusters stay"),
    "embed": ("engine.commands.embed", "embed the images with an encoder"),
    "cluster": ("engine.commands.run", "the same as run: what is embedded already is used as it is"),
    "graph": ("engine.commands.graph", "find the neighbours of every image"),
    "duplicates": ("engine.commands.duplicates", "find images that show the same; set all but the best aside"),
    "project": ("engine.commands.project", "draw the embeddings as a flat map"),
    "sweep": ("engine.commands.sweep", "find good clusters without knowing any parameter"),
    "keep-rank": ("engine.commands.keep_rank", "keep a ranked clustering of a sweep as a run, as it was shown"),
    "consensus": ("engine.commands.consensus", "make one clustering out of several runs of the same images"),
    "find": ("engine.commands.find", "find images by words, by pictures, by examples for and against"),
    "count": ("engine.commands.count", "ask how many clusters there are"),
    "experiment": ("engine.commands.experiment", "compare models and resolutions on the same images"),
    "search": ("engine.commands.search", "search a method's settings"),
    "job": ("engine.commands.job", "do the work that a job's folder describes (the app starts these)"),
    "analyze": ("engine.commands.analyze", "recompute everything a run says about itself"),
    "explain": ("engine.commands.explain", "say how far size, brightness, camera, date or folder explain the clusters"),
    "remove-nuisance": ("engine.commands.remove_nuisance", "take a measure out of the vectors and cluster again"),
    "new-images": (
        "engine.commands.new_images",
        "say which later images fit a run's clusters and which are new",
    ),
    "pseudo-label": ("engine.commands.pseudo_label", "label clusters by the samples nearest to their centres"),
    "name-clusters": ("engine.commands.name_clusters", "propose a name for each cluster of a run, from words"),
    "spread": ("engine.commands.spread", "spread a run's labels to neighbouring images"),
    "label-errors": ("engine.commands.label_errors", "list a run's labels that are probably wrong, as CSV"),
    "simulate": ("engine.commands.simulate", "let a simulated person label runs whose truth is known; count clicks"),
    "quality-report": ("engine.commands.quality_report", "write what is known of a run's labels as one HTML file"),
    "audit": ("engine.commands.audit", "prove how many of a run's labels are right, from a few checks"),
    "distil": ("engine.commands.distil", "make a small set that trains almost as well, and measure it"),
    "name": ("engine.commands.name", "name clusters of a run, or list them"),
    "import-labels": (
        "engine.commands.import_labels",
        "take labels in: CSV, JSON, folders, COCO, Label Studio, exports",
    ),
    "export": ("engine.commands.export", "write a run's labels for other tools"),
    "doctor": ("engine.commands.doctor", "check a workspace and mend its cache"),
    "backup": ("engine.commands.backup", "write the library (labels, runs, settings) into one file"),
    "restore": ("engine.commands.restore", "fill an empty workspace from such a file"),
}
