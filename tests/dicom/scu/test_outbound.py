"""What was opened for peers ends with the service."""

from __future__ import annotations

import threading

from dcm4py_leading.dicom.scu.outbound import OutboundLinks, register, spawn
from dcm4py_leading.dicom.upper.link import Link
from tests.fixtures.links import tcp_pair


def opened_link() -> tuple[Link, Link]:
    one, other = tcp_pair()
    link = Link(one, is_requestor=True, maximum_length=0)
    register(link)
    return link, Link(other, is_requestor=False, maximum_length=0)


def test_abort_ends_open_and_later_associations_also_in_spawned_threads() -> None:
    opened = OutboundLinks()
    peers: list[Link] = []
    links: list[Link] = []
    go_on = threading.Event()

    def open_one() -> None:
        link, peer = opened_link()
        links.append(link)
        peers.append(peer)

    def work() -> None:
        open_one()
        go_on.wait(60)
        open_one()

    with opened.by_this_thread():
        open_one()
        spawn(work, "work")
    assert opened.has_threads
    opened.abort()
    go_on.set()
    opened.join(20)
    assert not opened.has_threads
    assert len(peers) == 3
    assert [peer.has_input() for peer in peers] == [True] * 3
    for link in (*links, *peers):
        link.close()


def test_awaited_thread_counts_until_its_block_ends_and_its_associations_are_aborted() -> None:
    opened = OutboundLinks()
    is_open, go_on = threading.Event(), threading.Event()
    peers: list[Link] = []
    links: list[Link] = []

    def work() -> None:
        with opened.awaited():
            link, peer = opened_link()
            links.append(link)
            peers.append(peer)
            is_open.set()
            go_on.wait(60)
        is_over.set()
        end.wait(60)

    is_over, end = threading.Event(), threading.Event()
    thread = threading.Thread(target=work)
    thread.start()
    assert is_open.wait(60)
    assert opened.has_threads
    opened.abort()
    assert peers[0].has_input()
    go_on.set()
    assert is_over.wait(60)
    assert not opened.has_threads
    end.set()
    thread.join(60)
    for link in (*links, *peers):
        link.close()


def test_files_of_nobody_or_of_another_service_stay() -> None:
    stopped, other = OutboundLinks(), OutboundLinks()
    with other.by_this_thread():
        ends = [*opened_link()]
    ends += opened_link()
    stopped.abort()
    assert not any(end.has_input() for end in ends)
    for end in ends:
        end.close()
