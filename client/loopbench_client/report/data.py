"""The figures of a report as files inside the page: CSV and JSON."""

import base64
import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from loopbench import wire
from loopbench.spec import Diagnosis, FinalMetrics, ReportedMetrics, Result, Run
from loopbench_client.report.distances import run_distances
from loopbench_client.report.model import Report
from loopbench_client.report.specifications import settings

SPLITS = ("train", "validation")


@dataclass(frozen=True)
class File:
    """A file that the page contains as the address of a link."""

    name: str
    kind: str
    text: str
    description: str

    @property
    def address(self) -> str:
        """A data URL. Words from a command line need not be valid Unicode."""
        content = self.text.encode("utf-8", errors="backslashreplace")
        return f"data:{self.kind};charset=utf-8;base64,{base64.b64encode(content).decode()}"


def files(report: Report) -> tuple[File, ...]:
    """Return the runs and their epochs as tables, and everything as JSON."""
    return (
        File("runs.csv", "text/csv", _table(_run_rows(report)), "one line per run: settings, accuracies, digests"),
        File("epochs.csv", "text/csv", _table(_epoch_rows(report)), "one line per epoch of each run"),
        File("report.json", "application/json", _whole(report), "comparison, runs and diagnoses"),
    )


def _results(report: Report) -> Iterator[tuple[str, Run, Result]]:
    return ((label, run, run.result) for label, runs in report.runs.items() for run in runs if run.result is not None)


def _run_rows(report: Report) -> Iterator[dict[str, Any]]:
    for label, run, result in _results(report):
        yield {
            "group": label,
            "run_id": run.id,
            **settings(run.spec),
            "seed": run.spec.seed,
            **{key: value for split in SPLITS for key, value in _figures(split, getattr(result, split))},
            **{key: value for split in SPLITS for key, value in _reported(result, split)},
            "updates": result.updates,
            "train_seconds": result.phases.train_seconds,
            "diverged": str(result.diverged or ""),
            "weights_digest": result.weights_digest,
            "batch_order_digest": result.batch_order_digest,
        }


def _epoch_rows(report: Report) -> Iterator[dict[str, Any]]:
    first = {run.spec.seed: run for run in next(iter(report.runs.values()), ())}
    for label, run, result in _results(report):
        other = first.get(run.spec.seed)
        distances = dict(run_distances(other, run)) if other else {}
        for record in result.history:
            reported = {key: value for split in SPLITS for key, value in _figures(split, getattr(record, split))}
            seconds = {"train_seconds": record.train_seconds}
            yield {
                "group": label,
                "run_id": run.id,
                "seed": run.spec.seed,
                "epoch": record.epoch,
                **reported,
                **seconds,
                "weight_distance_from_first_group": distances.get(record.epoch),
            }


def _figures(split: str, found: FinalMetrics | ReportedMetrics) -> Iterable[tuple[str, float]]:
    return ((f"{split}_{name}", value) for name, value in found if name != "classes")


def _reported(result: Result, split: str) -> Iterable[tuple[str, float]]:
    return ((f"reported_{name}", value) for name, value in _figures(split, getattr(result, f"reported_{split}")))


def _table(rows: Iterable[Mapping[str, Any]]) -> str:
    """Lines of CSV with all names that a row has."""
    known = [*rows]
    text = io.StringIO()
    writer = csv.DictWriter(text, [*dict.fromkeys(name for row in known for name in row)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(known)
    return text.getvalue()


def _whole(report: Report) -> str:
    """Messages of the contract in protobuf's JSON form."""
    content = {
        "comparison": _plain(wire.comparison_to_wire(report.comparison)),
        "runs": {label: [_plain(wire.run_to_wire(run)) for run in runs] for label, runs in report.runs.items()},
        "diagnoses": [
            {"first": first, "second": second, "diagnosis": _plain(wire.diagnosis_to_wire(found))}
            for (first, second), found in report.diagnoses.items()
            if isinstance(found, Diagnosis)
        ],
    }
    return json.dumps(content, separators=(",", ":"))


def _plain(message: Message) -> dict[str, Any]:
    return dict(MessageToDict(message, always_print_fields_with_no_presence=True))
