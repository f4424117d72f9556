"""Class folders: torchvision's ImageFolder and most tools read them."""

from __future__ import annotations

from engine.export.folders import Plan, Splits, plan_folders
from engine.export.settings import ExportSettings
from engine.labels.table import LabelTable


def plan(table: LabelTable, splits: Splits, settings: ExportSettings) -> Plan:
    """Plan torchvision's ImageFolder: one folder per class, below one per split where there are splits."""
    return plan_folders(table, splits=splits, include_unlabelled=settings.include_unlabelled)
