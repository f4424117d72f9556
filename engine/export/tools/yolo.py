"""YOLO classification (Ultralytics)."""

from __future__ import annotations

from engine.export.folders import Plan, Splits, plan_folders
from engine.export.settings import ExportSettings
from engine.labels.table import LabelTable


def plan(table: LabelTable, splits: Splits, settings: ExportSettings) -> Plan:
    """Plan train/, val/ and test/, one folder per class in each."""
    return plan_folders(table, splits=splits)
