import datetime
import fcntl
import gzip
import hashlib
import threading

import numpy as np
import pytest

from data_prep.downloads.fetch import Expected, fetch, partial_path
from data_prep.downloads.patience import DownloadError, Patience, RateLimit, TransientError
from data_prep.downloads.web import Web
from tests.data_prep.misbehaving_server import Answer, Clock, serving

CONTENT = np.random.default_rng(7).bytes(700_001)  # several chunks, the last one short
RESUMABLE = {"Accept-Ranges": "bytes", "ETag": '"one"'}
NOW = datetime.datetime(2025, 3, 1, 12, 0, 0, tzinfo=datetime.UTC)


@pytest.fixture
def server(monkeypatch):
    with serving(monkeypatch) as server:
        yield server


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def web(clock):
    patience = Patience(attempts=4, sleep=clock.sleep, clock=clock.read, now=lambda: NOW)
    return Web(patience, timeout_seconds=(2, 0.3))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "downloads" / "file.bin"


def pauses(clock):
    """Returns the sleeps that were longer than what keeps the rate."""
    return [seconds for seconds in clock.sleeps if seconds >= 0.5]


def md5(content):
    return hashlib.md5(content).hexdigest()


def test_a_file_comes_whole_with_its_checksum_and_nothing_else_stays(server, web, path):
    fetched = fetch(web, server.answer("/f", Answer(CONTENT)), path)
    assert path.read_bytes() == CONTENT
    assert (fetched.size, fetched.sha256) == (len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
    assert [file.name for file in path.parent.iterdir()] == ["file.bin"]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7.0), ("Sat, 01 Mar 2025 12:00:09 GMT", 9.0), ("Sat, 01 Mar 2025 11:00:00 GMT", 0.0), ("soon", 1.0)],
)
def test_too_many_requests_wait_as_long_as_the_server_asks(server, web, path, clock, header, seconds):
    url = server.answer("/f", Answer(status=429, headers={"Retry-After": header}), Answer(CONTENT))
    fetch(web, url, path)
    assert path.read_bytes() == CONTENT
    assert seconds in clock.sleeps


def test_a_server_that_asks_for_an_hour_is_not_waited_for(server, web, path, clock):
    url = server.answer("/f", Answer(status=503, headers={"Retry-After": "3600"}))
    with pytest.raises(DownloadError, match=r"the server says 503 .*, and the server asks to wait 3600 seconds"):
        fetch(web, url, path)
    assert len(server.requests) == 1
    assert pauses(clock) == []


def test_two_server_errors_are_borne_with_growing_pauses(server, web, path, clock):
    fetch(web, server.answer("/f", Answer(status=500), Answer(status=500), Answer(CONTENT)), path)
    assert path.read_bytes() == CONTENT
    assert pauses(clock) == [1.0, 2.0]


def test_a_server_that_goes_on_failing_is_given_up(server, web, path, clock):
    with pytest.raises(DownloadError, match="the server says 500 Internal Server Error, 4 times in a row"):
        fetch(web, server.answer("/f", Answer(status=500)), path)
    assert pauses(clock) == [1.0, 2.0, 4.0]
    assert list(path.parent.iterdir()) == []


def test_a_missing_file_is_asked_for_once(server, web, path):
    with pytest.raises(DownloadError, match="the server says 404 Not Found"):
        fetch(web, f"{server.url}/absent", path)
    assert len(server.requests) == 1


def test_a_cut_connection_goes_on_where_it_broke_off(server, web, path):
    url = server.answer(
        "/f",
        Answer(CONTENT, headers=RESUMABLE, cut_after=300_000),
        Answer(CONTENT, headers=RESUMABLE, cut_after=200_000),
        Answer(CONTENT, headers=RESUMABLE),
    )
    fetched = fetch(web, url, path, expected=Expected(size=len(CONTENT), md5=md5(CONTENT)))
    assert path.read_bytes() == CONTENT
    assert fetched.sha256 == hashlib.sha256(CONTENT).hexdigest()
    first, second, third = server.ranges("/f")
    assert first is None
    starts = [int(value.removeprefix("bytes=").removesuffix("-")) for value in (second, third)]
    assert 0 < starts[0] <= 300_000 < starts[1] <= 500_000


def test_a_server_without_ranges_sends_the_whole_again(server, web, path):
    fetch(web, server.answer("/f", Answer(CONTENT, cut_after=300_000), Answer(CONTENT)), path)
    assert path.read_bytes() == CONTENT


def test_a_connection_that_breaks_at_the_same_place_each_time_is_given_up(server, web, path):
    url = server.answer("/f", Answer(CONTENT, cut_after=300_000))
    with pytest.raises(DownloadError, match="the connection broke off, 4 times in a row"):
        fetch(web, url, path)
    assert len(server.requests) == 4


def test_a_file_that_changed_between_two_attempts_is_not_mixed(server, web, path):
    other = CONTENT[::-1]
    url = server.answer(
        "/f",
        Answer(CONTENT, headers=RESUMABLE, cut_after=300_000),
        Answer(other, headers={**RESUMABLE, "ETag": '"two"'}),
    )
    fetch(web, url, path)
    assert path.read_bytes() == other


def test_pieces_that_do_not_fit_together_are_fetched_anew(server, web, path):
    other = CONTENT[::-1]
    # A server that gives a range of another file under the same tag.
    url = server.answer("/f", Answer(other, headers=RESUMABLE, cut_after=300_000), Answer(CONTENT, headers=RESUMABLE))
    fetch(web, url, path, expected=Expected(md5=md5(CONTENT)))
    assert path.read_bytes() == CONTENT


def test_a_piece_from_another_place_is_not_taken(server, web, path):
    misplaced = Answer(CONTENT[5:], 206, {"Content-Range": f"bytes 5-{len(CONTENT) - 1}/{len(CONTENT)}"})
    url = server.answer("/f", Answer(CONTENT, headers=RESUMABLE, cut_after=300_000), misplaced, Answer(CONTENT))
    fetch(web, url, path)
    assert path.read_bytes() == CONTENT
    assert server.ranges("/f")[-1] is None


def test_a_later_run_goes_on_with_what_an_earlier_one_left(server, web, path):
    url = server.answer("/f", Answer(CONTENT, headers=RESUMABLE, cut_after=300_000), Answer(status=404))
    with pytest.raises(DownloadError):
        fetch(web, url, path)
    assert not path.exists()
    left = partial_path(path).stat().st_size
    assert left > 0
    server.answer("/f", Answer(CONTENT, headers=RESUMABLE))
    fetch(web, url, path)
    assert path.read_bytes() == CONTENT
    assert server.ranges("/f")[-1] == f"bytes={left}-"


def test_a_download_that_was_complete_but_not_renamed_is_done_again(server, web, path):
    url = server.answer("/f", Answer(CONTENT, headers=RESUMABLE, cut_after=300_000), Answer(status=404))
    with pytest.raises(DownloadError):
        fetch(web, url, path)
    partial_path(path).write_bytes(CONTENT)
    server.answer("/f", Answer(CONTENT, headers=RESUMABLE))
    fetch(web, url, path)
    assert path.read_bytes() == CONTENT


def test_a_wrong_checksum_of_a_whole_file_is_final_and_leaves_nothing(server, web, path):
    url = server.answer("/f", Answer(CONTENT))
    with pytest.raises(DownloadError, match=r"its MD5 is [0-9a-f]{12}... where 000000000000... is published"):
        fetch(web, url, path, expected=Expected(md5="0" * 32))
    assert list(path.parent.iterdir()) == []


def test_a_wrong_size_is_said_in_bytes(server, web, path):
    with pytest.raises(DownloadError, match="it has 700,001 bytes where 5 are published"):
        fetch(web, server.answer("/f", Answer(CONTENT)), path, expected=Expected(size=5))


def test_a_compressed_file_stays_as_it_is_whatever_the_server_calls_it(server, web, path):
    content = gzip.compress(CONTENT)
    url = server.answer("/f.gz", Answer(content, headers={"Content-Encoding": "x-gzip"}))
    fetch(web, url, path, expected=Expected(md5=md5(content)))
    assert path.read_bytes() == content
    assert server.requests[0].headers["Accept-Encoding"] == "identity"


def test_a_check_sees_the_file_before_it_has_its_name(server, web, path):
    def check(partial):
        assert partial.read_bytes() == CONTENT
        assert not path.exists()
        raise DownloadError("not what was wanted")

    with pytest.raises(DownloadError, match="not what was wanted"):
        fetch(web, server.answer("/f", Answer(CONTENT)), path, check=check)
    assert list(path.parent.iterdir()) == []


def test_a_server_that_falls_silent_is_asked_again(server, web, path):
    fetch(web, server.answer("/f", Answer(CONTENT, silent_seconds=0.6), Answer(CONTENT)), path)
    assert path.read_bytes() == CONTENT


def test_no_network_is_said_at_once(web, path, clock):
    with pytest.raises(DownloadError, match=r"127.0.0.1 cannot be reached .*is there a network"):
        fetch(web, "http://127.0.0.1:9/f", path)
    assert pauses(clock) == []


def test_two_downloads_of_one_file_make_one_request(server, web, path, clock):
    url = server.answer("/f", Answer(CONTENT, silent_seconds=0.2))
    results = []

    def download():
        own = Web(Patience(sleep=clock.sleep, clock=clock.read))
        results.append(fetch(own, url, path))

    threads = [threading.Thread(target=download) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_bytes() == CONTENT
    assert len(server.requests) == 1
    assert sum(result is not None for result in results) == 1
    assert [file.name for file in path.parent.iterdir()] == ["file.bin"]


def test_a_download_by_another_process_is_waited_for(server, web, path, capsys):
    url = server.answer("/f", Answer(CONTENT))
    path.parent.mkdir()
    with partial_path(path).open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        thread = threading.Thread(target=fetch, args=(web, url, path))
        thread.start()
        thread.join(timeout=0.2)
        assert thread.is_alive()
    thread.join()
    assert path.read_bytes() == CONTENT
    assert "another process is downloading" in capsys.readouterr().err


def test_requests_keep_their_distance():
    clock = Clock()
    limit = RateLimit(0.25, Patience(sleep=clock.sleep, clock=clock.read))
    for _ in range(3):
        limit.wait()
    clock.seconds += 10
    limit.wait()
    assert clock.sleeps == [0.25, 0.25]


@pytest.mark.parametrize(("key", "rate"), [("", 3), ("secret", 10)])
def test_ncbi_allows_more_requests_with_a_key(monkeypatch, key, rate):
    clock = Clock()
    monkeypatch.setenv("NCBI_API_KEY", key)
    web = Web(Patience(sleep=clock.sleep, clock=clock.read))
    for _ in range(3):
        web._limit("https://ftp.ncbi.nlm.nih.gov/x").wait()
    assert clock.sleeps == pytest.approx([1 / rate] * 2)


def test_failures_are_counted_anew_after_progress():
    outcomes = [TransientError("a"), TransientError("b"), TransientError("c", progressed=True), TransientError("d")]
    clock = Clock()

    def work():
        if outcomes:
            raise outcomes.pop(0)
        return "done"

    assert Patience(attempts=3, sleep=clock.sleep).persist(work) == "done"
    assert clock.sleeps == [1.0, 2.0, 1.0, 2.0]
