"""The figures of a report as files, PNG and SVG, for papers and slides; equal reports give equal bytes."""

from collections.abc import Mapping

from etils import epath

from lingjax.reporting.panels import write_pictures
from lingjax.reporting.report import TransferReport
from lingjax.reporting.report_figures import report_pictures
from lingjax.reporting.table import model_name, source_name


def write_plots(folder: epath.PathLike, reports: Mapping[str, TransferReport]) -> list[epath.Path]:
    """Writes `NAME.PLOT.png` and `.svg` for every plot that a report has values for, and returns the paths.

    Plots: `scores`; `bands`, `calibration`, `learning_curve`, `sample_efficiency` and `alignment` where the report has
    them.

    Args:
      folder: made if need be.
      reports: by the start of their files' names.
    """
    written = []
    for name, report in reports.items():
        title = f"{model_name(report.model)}: {_transfer(report)}"
        for plot, pictures in report_pictures(report).items():
            written += write_pictures(folder, f"{name}.{plot}", title=title, pictures=pictures)
    return written


def _transfer(report: TransferReport) -> str:
    return f"{source_name(report)} → {report.target['dataset']}" + (" (synthetic)" if report.synthetic else "")
