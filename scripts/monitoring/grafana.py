"""Dashboards by Grafana's foundation SDK: what all panels, queries and variables of loopbench have in common."""

from collections.abc import Iterable, Sequence
from string import ascii_uppercase
from typing import Any

from grafana_foundation_sdk.builders import common as build_common
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.builders import prometheus, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat, QueryEditorMode

GREEN, ORANGE, RED, NEUTRAL = "green", "orange", "red", "text"
Thresholds = tuple[tuple[float | None, str], ...]
Panel = Builder[models.Panel]
# A heading and the panels below it.
Row = tuple[str, Sequence[Panel]]

DATA_SOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")


def query(expression: str, legend: str = "__auto") -> prometheus.Dataquery:
    """A PromQL expression and the name of its series."""
    code = QueryEditorMode.CODE
    return prometheus.Dataquery().datasource(DATA_SOURCE).expr(expression).legend_format(legend).editor_mode(code)


def variable(name: str, label: str, selector: str) -> build.QueryVariable:
    """A choice of the values of a label in the series of ``selector``."""
    expression = f"label_values({selector}, {name})"
    made = build.QueryVariable(name).label(label).datasource(DATA_SOURCE)
    made.query({"query": expression, "refId": name}).multi(True).include_all(True).current(
        models.VariableOption(selected=True, text=["All"], value=["$__all"])
    )
    # Without the job, a series is of another program. All others include series without the label, such as the
    # namespace outside of Kubernetes.
    made.all_value(".+" if name == "job" else ".*")
    return made.refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED).sort(models.VariableSort.ALPHABETICAL_ASC)


# Jobs and namespaces of servers, for every dashboard. Pods of sweeps have no slots.
SCOPES = (
    variable("job", "Job", "loopbench_slots"),
    variable("namespace", "Namespace", 'loopbench_slots{job=~"$job"}'),
)


class _Alerts(models.AnnotationQuery, Builder[models.AnnotationQuery]):
    """The alerts that fire, by their names, for which the SDK has no field."""

    def __init__(self) -> None:
        alerts = 'ALERTS{alertname=~"Loopbench.*", alertstate="firing"}'
        super().__init__("Alerts", DATA_SOURCE, icon_color=RED, expr=alerts)

    def build(self) -> models.AnnotationQuery:
        return self

    def to_json(self) -> dict[str, object]:
        return super().to_json() | {"titleFormat": "{{alertname}}", "step": "60s"}


def dashboard(
    uid: str,
    title: str,
    description: str,
    *,
    variables: Iterable[build.QueryVariable],
    rows: Iterable[Row],
    links: dict[str, str],
) -> models.Dashboard:
    """A dashboard of the last six hours; ``variables`` follow those of every dashboard.

    ``links`` are titles of other dashboards by their uid.
    """
    made = build.Dashboard(title).uid(uid).description(description).tags(["loopbench"]).version(1).readonly()
    made.tooltip(models.DashboardCursorSync.CROSSHAIR).timezone("browser").refresh("30s").time("now-6h", "now")
    made.with_variable(build.DatasourceVariable("datasource").label("Data source").type("prometheus"))
    for choice in (*SCOPES, *variables):
        made.with_variable(choice)
    made.annotation(_Alerts())
    for other, text in links.items():
        link = build.DashboardLink(text).type(models.DashboardLinkType.LINK).icon("dashboard").url(f"/d/{other}")
        made.link(link.keep_time(True).include_vars(True))
    for heading, panels in rows:
        made.with_row(build.Row(heading))
        for panel in panels:
            made.with_panel(panel)
    built = made.build()
    for number, placed in enumerate(built.panels or (), start=1):
        placed.id_val = number
    return built


def panel(
    title: str,
    description: str,
    unit: str,
    *queries: prometheus.Dataquery,
    kind: str = "timeseries",
    width: int = 8,
    height: int = 8,
    thresholds: Thresholds = ((None, NEUTRAL),),
    words: dict[str, tuple[str, str]] | None = None,
    stacked: bool = False,
    most: float | None = None,
    columns: dict[str, str] | None = None,
    units: dict[str, str] | None = None,
) -> Panel:
    """A panel of 24 columns and of units of 30 pixels.

    ``thresholds`` are colours from a value on, the first from anywhere. ``words`` are shown instead of values. Of a
    table, ``columns`` are headings in their order, by a label or the letter of a query; ``units`` are theirs.
    """
    made: Any = {"timeseries": _timeseries, "stat": _stat, "table": _table, "state-timeline": _timeline}[kind]()
    made.title(title).description(description).unit(unit).datasource(DATA_SOURCE).span(width).height(height)
    steps = [models.Threshold(value=value, color=color) for value, color in thresholds]
    made.thresholds(build.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps))
    by_threshold = kind in ("stat", "state-timeline")
    colors = models.FieldColorModeId
    made.color_scheme(build.FieldColor().mode(colors.THRESHOLDS if by_threshold else colors.PALETTE_CLASSIC))
    if kind == "timeseries":
        _draw(made, stacked=stacked, limits=len(steps) > 1)
    if kind != "state-timeline":
        made.min(0)
    if most is not None:
        made.max(most)
    if words:
        options = {
            value: models.ValueMappingResult(text=text, color=color, index=0) for value, (text, color) in words.items()
        }
        made.mappings([models.ValueMap(options=options)])
    for letter, asked in zip(ascii_uppercase, queries, strict=False):
        made.with_target(_evaluated(asked, kind).ref_id(letter))
    if columns:
        _arrange(made, columns, units or {}, lone=len(queries) == 1)
    return made  # type: ignore[no-any-return]


def _evaluated(asked: prometheus.Dataquery, kind: str) -> prometheus.Dataquery:
    asked = asked.instant() if kind in ("stat", "table") else asked.range()
    return asked.format(PromQueryFormat.TABLE if kind == "table" else PromQueryFormat.TIME_SERIES)


def _timeseries() -> timeseries.Panel:
    legend = build_common.VizLegendOptions().display_mode(common.LegendDisplayMode.TABLE).show_legend(True)
    legend.placement(common.LegendPlacement.BOTTOM).calcs(["lastNotNull", "max"])
    tooltip = build_common.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING)
    return timeseries.Panel().legend(legend).tooltip(tooltip)


def _draw(made: timeseries.Panel, *, stacked: bool, limits: bool) -> None:
    stacking = common.StackingMode.NORMAL if stacked else common.StackingMode.NONE
    lines = common.GraphThresholdsStyleMode.LINE if limits else common.GraphThresholdsStyleMode.OFF
    made.draw_style(common.GraphDrawStyle.LINE).fill_opacity(20 if stacked else 5).span_nulls(False)
    made.show_points(common.VisibilityMode.AUTO).stacking(build_common.StackingConfig().mode(stacking).group("A"))
    made.thresholds_style(build_common.GraphThresholdsStyleConfig().mode(lines))


def _stat() -> stat.Panel:
    made = stat.Panel().reduce_options(build_common.ReduceDataOptions().calcs(["lastNotNull"]).fields("").values(False))
    return made.color_mode(common.BigValueColorMode.VALUE).graph_mode(common.BigValueGraphMode.NONE)


def _table() -> table.Panel:
    return table.Panel().show_header(True).cell_height(common.TableCellHeight.SM)


def _timeline() -> statetimeline.Panel:
    legend = build_common.VizLegendOptions().show_legend(False)
    return (
        statetimeline.Panel().merge_values(True).show_value(common.VisibilityMode.AUTO).row_height(0.8).legend(legend)
    )


def _arrange(made: table.Panel, columns: dict[str, str], units: dict[str, str], *, lone: bool) -> None:
    """One row for all queries of the same labels, and the columns in their order."""
    # Grafana names the values of a lone query without its letter.
    names = {name.removesuffix(" #A") if lone else name: heading for name, heading in columns.items()}
    order = {"indexByName": {name: index for index, name in enumerate(names)}, "renameByName": names}
    for transformation, options in (
        ("merge", {}),
        ("filterFieldsByName", {"include": {"names": list(names)}}),
        ("organize", order),
    ):
        made.with_transformation(models.DataTransformerConfig(id_val=transformation, options=options))
    for name, unit in units.items():
        made.override_by_name(columns[name], [models.DynamicConfigValue(id_val="unit", value=unit)])
