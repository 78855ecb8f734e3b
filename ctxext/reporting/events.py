"""TensorBoard's event file of a run: scalars, pictures, texts and hyperparameters, without torch or TensorFlow."""

import itertools
import os
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.types_pb2 import DT_STRING
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2
from tensorboard.summary.writer.record_writer import RecordWriter

PATTERN = "events.out.tfevents.*"
FLUSH_SECONDS = 10.0
NUMBERS = itertools.count()
"""Numbers of the event files of this process, by which their names differ."""
MARGINS = ("method", "truncated")


class EventFile:
    """One event file in a run's folder."""

    def __init__(self, folder: Path) -> None:
        """Open a new event file in `folder`, beside any that are there."""
        name = f"{PATTERN[:-1]}{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}.{next(NUMBERS)}"
        self.writer = RecordWriter((folder / name).open("wb"))
        self.flushed = 0.0
        self.write(Event(wall_time=time.time(), file_version="brain.Event:2"))
        self.flush()

    def forget(self) -> None:
        """Tell readers that are open to drop all that they have seen of this run."""
        self.write(Event(wall_time=time.time(), session_log=SessionLog(status=SessionLog.START)))

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Write `values` by tag at `step`."""
        self.add(step, [Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()])

    def picture(self, step: int, tag: str, png: bytes) -> None:
        """Write the picture `png` under `tag` at `step`."""
        width, height = (int.from_bytes(png[start : start + 4], "big") for start in (16, 20))
        image = Summary.Image(width=width, height=height, colorspace=4, encoded_image_string=png)
        self.add(step, [Summary.Value(tag=tag, image=image)])

    def text(self, step: int, tag: str, markdown: str) -> None:
        """Write `markdown` under `tag` at `step`."""
        self.add(step, [plugin_value("text", tag, markdown.encode())])

    def layout(self, pages: Mapping[str, Mapping[str, str]]) -> None:
        """Write the custom scalars page: by category and title a chart of all tags that match its expression.

        An expression with {} is a chart of margins: of the tags of `MARGINS` with nothing, _low and _high in its place.
        """
        categories = [
            layout_pb2.Category(title=category, chart=[chart(title, pattern) for title, pattern in charts.items()])
            for category, charts in pages.items()
        ]
        page = layout_pb2.Layout(category=categories)
        self.add(0, [plugin_value("custom_scalars", "custom_scalars__config__", page.SerializeToString())])

    def hyperparameters(self, values: Mapping[str, str | float], shown: Sequence[str], metrics: list[str]) -> None:
        """Write what makes this file a line of the run table: `values` by key, and the scalar tags of its results.

        Without a group name each run is a line of its own. The columns `shown` at first, five at most, are those that
        are said to differ between runs.
        """
        infos = [api_pb2.HParamInfo(name=key, type=kind(value), differs=key in shown) for key, value in values.items()]
        tags = [api_pb2.MetricInfo(name=api_pb2.MetricName(tag=tag), display_name=tag) for tag in metrics]
        start = plugin_data_pb2.SessionStartInfo(start_time_secs=time.time())
        for key, value in values.items():
            if isinstance(value, str):
                start.hparams[key].string_value = value
            else:
                start.hparams[key].number_value = value
        end = plugin_data_pb2.SessionEndInfo(status=api_pb2.STATUS_SUCCESS, end_time_secs=time.time())
        whole = plugin_data_pb2.HParamsPluginData
        experiment = api_pb2.Experiment(hparam_infos=infos, metric_infos=tags)
        self.hparams(metadata.EXPERIMENT_TAG, whole(experiment=experiment))
        self.hparams(metadata.SESSION_START_INFO_TAG, whole(session_start_info=start))
        self.hparams(metadata.SESSION_END_INFO_TAG, whole(session_end_info=end))

    def hparams(self, tag: str, data: plugin_data_pb2.HParamsPluginData) -> None:
        """Write one record of the hparams plugin, which travels in a summary's metadata."""
        described = metadata.create_summary_metadata(data)
        self.add(0, [Summary.Value(tag=tag, metadata=described, tensor=metadata.NULL_TENSOR)])

    def add(self, step: int, values: list[Summary.Value]) -> None:
        """Write `values` as one event at `step`."""
        self.write(Event(wall_time=time.time(), step=step, summary=Summary(value=values)))

    def write(self, event: "Event") -> None:
        """Write `event`; what lies in memory goes into the file at most every FLUSH_SECONDS."""
        self.writer.write(event.SerializeToString())
        if time.monotonic() - self.flushed >= FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Put all that was written on the disk."""
        self.writer.flush()
        self.flushed = time.monotonic()

    def close(self) -> None:
        """Flush and end the file."""
        self.writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def chart(title: str, pattern: str) -> "layout_pb2.Chart":
    """Return a chart of all tags that match `pattern`, or of those that it stands for with their margins."""
    if "{}" not in pattern:
        return layout_pb2.Chart(title=title, multiline=layout_pb2.MultilineChartContent(tag=[pattern]))
    ends = {"value": "", "lower": "_low", "upper": "_high"}
    series = [
        layout_pb2.MarginChartContent.Series(**{key: pattern.format(end) + name for key, end in ends.items()})
        for name in MARGINS
    ]
    return layout_pb2.Chart(title=title, margin=layout_pb2.MarginChartContent(series=series))


def kind(value: str | float) -> "api_pb2.DataType":
    """Return the type of the column of a hyperparameter whose value is `value`."""
    return api_pb2.DATA_TYPE_STRING if isinstance(value, str) else api_pb2.DATA_TYPE_FLOAT64


def plugin_value(plugin: str, tag: str, content: bytes) -> Summary.Value:
    """Return a summary that holds `content` as a text tensor for `plugin`."""
    described = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name=plugin))
    return Summary.Value(tag=tag, metadata=described, tensor=TensorProto(dtype=DT_STRING, string_val=[content]))
