import importlib.util
import io
import re
import sys

import pytest

from data_prep.engines import LocalEngine, choose_engine
from lingjax.errors import InputError


class Terminal(io.StringIO):
    def isatty(self):
        return True


def work(item, advance):
    advance(2)
    return item * 10


def run(monkeypatch, stream):
    monkeypatch.setattr(sys, "stderr", stream)
    assert LocalEngine().map(work, [3, 1, 2], total=6, unit=" documents") == [30, 10, 20]
    return stream.getvalue()


def test_a_terminal_sees_how_far_it_is_how_fast_and_how_long_it_takes(monkeypatch):
    shown = run(monkeypatch, Terminal())
    assert re.search(r"100%.* 6\.00/6\.00 \[\d\d:\d\d<\d\d:\d\d, +[\d.?]+k? documents/s\]", shown)


def test_a_log_sees_nothing(monkeypatch):
    assert run(monkeypatch, io.StringIO()) == ""


def test_an_unknown_engine_is_named(tmp_path):
    with pytest.raises(InputError, match="--engine=spark is unknown; choose one of: beam, local"):
        choose_engine("spark", None, data_dir=tmp_path, name="x")


def test_beam_options_need_beam(tmp_path):
    with pytest.raises(InputError, match="--beam_options is for --engine=beam"):
        choose_engine("local", ["runner=DirectRunner"], data_dir=tmp_path, name="x")


def test_without_beam_the_extra_is_named(tmp_path, monkeypatch):
    if importlib.util.find_spec("apache_beam"):
        monkeypatch.setitem(sys.modules, "apache_beam", None)
    with pytest.raises(InputError, match=r'--engine=beam needs Apache Beam, the extra "beam": pip install'):
        choose_engine("beam", None, data_dir=tmp_path, name="x")
