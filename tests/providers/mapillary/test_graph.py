"""The Graph API: images by the hundred, what is gone, what fails, and where the token goes."""

from __future__ import annotations

import json
import logging
import threading
import time
import traceback

import numpy as np
import pytest
from conftest import DATA
from helpers.processes import HANGS_S
from helpers.scripted_server import QUICK, reply, scripted
from helpers.tokens import SECRET, TOKEN
from helpers.work import without_waiting
from hypothesis import given, settings
from hypothesis import strategies as st

from mlygeo.errors import InputError, NetworkError, ServiceError, ThrottledError, TokenRejectedError
from mlygeo.keys import WHOLE_NUMBERS
from mlygeo.net.answers import GoneError, UnknownFieldError
from mlygeo.net.http import Retry, StoppedError
from mlygeo.net.pace import Pace
from mlygeo.net.workers import WorkerPool
from mlygeo.providers.mapillary.graph import GONE, Graph, calls_for
from mlygeo.providers.mapillary.service import Endpoints, Service
from mlygeo.standin import Faults, serve

FIELDS = ("captured_at", "sequence")


@pytest.fixture(scope="module")
def ids(images):
    return images["id"].tolist()


def graph_of(server, *, workers=4, retry=QUICK, stop=None, **settings):
    service = Service(endpoints=server.endpoints, token=TOKEN, retry=retry, **settings)
    return Graph(service, workers=workers, stop=stop)


def scripted_graph(url, *, workers=2, retry=QUICK):
    return Graph(Service(endpoints=Endpoints(graph=url.removesuffix("/x")), token=TOKEN, retry=retry), workers=workers)


def collected(batches):
    """Return what batches hold together; no id may stand in two, or be found and missing."""
    found, missing = {}, {}
    for batch in batches:
        assert not {*batch.found, *batch.missing} & {*found, *missing}
        assert not {*batch.found} & {*batch.missing}
        found |= batch.found
        missing |= batch.missing
    return found, missing


class TestManyImages:
    def test_two_hundred_a_call(self, images, ids):
        with serve(images, token=TOKEN) as server, graph_of(server) as graph:
            found, missing = collected(graph.images(ids, fields=FIELDS))
            assert server.count() == server.count("images") == calls_for(len(ids)) == 7
            assert all(request.headers["Authorization"] == f"OAuth {TOKEN}" for request in server.requests)
            assert not any("access_token" in request.query for request in server.requests)
        assert missing == {}
        assert sorted(found) == ids
        for image in images.itertuples():
            assert found[image.id]["sequence"] == image.sequence_id

    def test_an_id_asked_for_twice_counts_once_and_the_order_is_kept(self, images, ids):
        asked = [ids[5], ids[3], ids[5], ids[4], ids[3]]
        for given_as in (asked, np.array(asked), map(np.int64, asked), [str(number) for number in asked]):
            with serve(images) as server, graph_of(server) as graph:
                found, _ = collected(graph.images(given_as, fields=FIELDS))
                assert server.requests[0].query["image_ids"] == f"{ids[5]},{ids[3]},{ids[4]}"
            assert set(found) == set(asked)

    def test_no_ids_no_request(self, images):
        with serve(images) as server, graph_of(server) as graph:
            assert list(graph.images([], fields=FIELDS)) == []
            assert list(graph.images(np.array([], dtype=np.int64), fields=FIELDS)) == []
            assert server.count() == 0

    @pytest.mark.parametrize("wrong", [[0], [-5], ["x"], ["5 6"], [2**63], [1.5], [None], np.array([5, -1])])
    def test_what_is_no_id_is_refused_before_anything_is_asked(self, images, wrong):
        with serve(images) as server, graph_of(server) as graph:
            with pytest.raises(InputError, match="not an id"):
                list(graph.images(wrong, fields=FIELDS))
            assert server.count() == 0

    def test_images_that_are_gone_are_reported_with_the_reason(self, images, ids):
        gone = {ids[0], ids[700], ids[701], ids[-1]}
        with serve(images, faults=Faults(gone=gone)) as server, graph_of(server) as graph:
            found, missing = collected(graph.images([*ids, 5], fields=FIELDS))
            assert server.count() == 7 + 5
        assert missing == dict.fromkeys([*gone, 5], GONE)
        assert set(found) == set(ids) - gone

    def test_persons_and_organizations_are_no_images(self, images, ids):
        person = int(images["creator_id"].iloc[0])
        with serve(images) as server, graph_of(server) as graph:
            found, missing = collected(graph.images([ids[0], person, ids[1]], fields=FIELDS))
            # The fields that a person does not have are asked for again of images.
            assert graph.unknown_fields == set()
        assert set(found) == {ids[0], ids[1]}
        assert missing == {person: "no image, but a MapillaryUser"}

    def test_a_field_that_images_do_not_have_is_dropped_once(self, images, ids, caplog):
        with serve(images) as server, graph_of(server, workers=1) as graph:
            found, missing = collected(graph.images(ids, fields=("altitud", *FIELDS)))
            assert server.count() == 8
            assert graph.unknown_fields == {"altitud"}
        assert (len(found), missing) == (len(ids), {})
        assert caplog.text.count("no field 'altitud'") == 1

    def test_where_no_field_is_left_it_says_so(self, images, ids):
        with serve(images) as server, graph_of(server) as graph:
            with pytest.raises(UnknownFieldError, match="altitud"):
                graph.entity(ids[0], fields=("altitud",))
            with pytest.raises(UnknownFieldError, match="altitud"):
                list(graph.images(ids, fields=("altitud",)))
            assert server.count() < 10

    @settings(max_examples=10)
    @given(st.sets(st.integers(0, 299), max_size=40), st.integers(0, 2**31), st.sampled_from([0.0, 0.3]))
    def test_every_id_is_found_or_missing_whatever_goes_wrong(self, images, ids, gone, seed, share):
        gone = {ids[place] for place in gone}
        faults = Faults(seed=seed, gone=gone).spread(share, "server_error", "temporary", "query_timeout", "html", "error_object", "empty", "drop", "truncate", "truncate_quietly", "hang_up", "garbage", "odd_json", "too_much", "redirect")  # fmt: skip
        with serve(images, faults=faults) as server:
            retry = Retry(attempts=15, first_wait=0.0005, longest_wait=0.005)
            with graph_of(server, retry=retry) as graph:
                found, missing = collected(graph.images(ids[:300], fields=FIELDS))
        assert {*found, *missing} == set(ids[:300])
        assert gone <= set(missing)
        # Only a refusal that met an image alone (too much data, a redirect) can have cost it.
        assert all(
            missing[number] == GONE or "too much" in missing[number] or "redirected" in missing[number]
            for number in missing
        )
        for number, record in found.items():
            assert record["id"] == str(number)

    def test_while_a_third_of_all_requests_fails_none_is_missing(self, images, ids):
        faults = Faults(only=("graph",)).spread(0.3)
        with serve(images, faults=faults, token=TOKEN) as server:
            retry = Retry(attempts=12, first_wait=0.001, longest_wait=0.01)
            with graph_of(server, retry=retry) as graph:
                found, missing = collected(graph.images(ids, fields=FIELDS))
        assert missing == {}
        assert len(found) == len(ids)


def without_many(handler):
    """Answer as a service that does not know lists of ids under /images."""
    path, _, query = handler.path.partition("?")
    values = dict(part.split("=", 1) for part in query.split("&"))
    if path == "/images":
        reply(handler, {"error": {"code": 100, "message": "Unsupported parameter image_ids"}}, 400)
    elif path == "/":
        numbers = values["ids"].split(",")
        if "13" in numbers:
            gone = {"code": 100, "error_subcode": 33, "message": "Object with ID '13' does not exist"}
            reply(handler, {"error": gone}, 400)
        else:
            reply(handler, {number: {"id": number} for number in numbers})
    elif path == "/13":
        reply(handler, {"error": {"code": 100, "error_subcode": 33, "message": "does not exist"}}, 400)
    else:
        reply(handler, {"id": path[1:]})


class TestOtherWays:
    def test_where_image_ids_is_refused_ids_are_asked_for_at_the_root(self):
        with scripted(without_many) as (url, asked), scripted_graph(url, workers=1) as graph:
            found, missing = collected(graph.images(range(101, 501), fields=FIELDS))
        assert (len(found), missing) == (400, {})
        paths = [path.split("?")[0] for path, _ in asked]
        # Asked for once, learnt for good: 50 ids a call is what the other way allows.
        assert paths == ["/images", *["/"] * 8]

    def test_one_that_is_gone_does_not_spoil_the_others(self):
        with scripted(without_many) as (url, asked), scripted_graph(url, workers=1) as graph:
            found, missing = collected(graph.images(range(1, 51), fields=FIELDS))
        assert missing == {13: GONE}
        assert len(found) == 49
        assert len(asked) < 16  # halves, not fifty single ones

    def test_a_service_that_answers_single_entities_only(self):
        def single(handler):
            path = handler.path.split("?")[0]
            if path in {"/", "/images"}:
                reply(handler, {"error": {"code": 3, "message": "Unknown method"}}, 400)
            else:
                reply(handler, {"id": path[1:]})

        with scripted(single) as (url, _), scripted_graph(url) as graph:
            found, missing = collected(graph.images(range(1, 30), fields=FIELDS))
        assert (sorted(found), missing) == (list(range(1, 30)), {})

    def test_a_list_that_is_ignored_is_noticed(self):
        """A server that answers every list with nothing knows its images one by one."""

        def empty(handler):
            path = handler.path.split("?")[0]
            reply(handler, {"/images": {"data": []}, "/": {}}.get(path, {"id": path[1:]}))

        with scripted(empty) as (url, _), scripted_graph(url) as graph:
            found, missing = collected(graph.images([5, 6, 7], fields=FIELDS))
        assert (sorted(found), missing) == ([5, 6, 7], {})

    def test_images_that_nobody_asked_for_are_left_out(self):
        answer = {"data": [{"id": "5"}, {"id": "99"}, {"id": "6"}, None, {"id": "x"}, 5]}
        with scripted((200, {}, json.dumps(answer).encode())) as (url, _), scripted_graph(url) as graph:
            found, missing = collected(graph.images([5, 6], fields=FIELDS))
        assert (sorted(found), missing) == ([5, 6], {})

    def test_of_two_records_of_an_image_that_differ_neither_is_taken(self):
        def twice(handler):
            numbers = [5, 5, 6, 6] if handler.path.startswith("/images") else []
            many = {"data": [{"id": str(each), "altitude": place % 3} for place, each in enumerate(numbers)]}
            many["data"][3:] = many["data"][2:3]  # the same record twice is not in doubt
            reply(handler, many if numbers else {"id": "5", "altitude": 7})

        with scripted(twice) as (url, asked), scripted_graph(url) as graph:
            found, missing = collected(graph.images([5, 6], fields=FIELDS))
        assert found == {5: {"id": "5", "altitude": 7}, 6: {"id": "6", "altitude": 2}}
        assert missing == {}
        assert len(asked) == 2

    def test_one_record_that_breaks_the_service_costs_only_itself(self):
        def poisoned(handler):
            path, _, query = handler.path.partition("?")
            numbers = (
                path[1:].split(",") if path != "/images" else query.split("image_ids=")[1].split("&")[0].split(",")
            )
            if "13" in numbers:
                reply(handler, {"error": {"code": 2, "message": "Service temporarily unavailable"}}, 500)
            elif path == "/images":
                reply(handler, {"data": [{"id": number} for number in numbers]})
            else:
                reply(handler, {"id": numbers[0]})

        with scripted(poisoned) as (url, _), scripted_graph(url) as graph:
            found, missing = collected(graph.images(range(1, 201), fields=FIELDS))
        assert list(missing) == [13]
        assert "temporarily" in missing[13]
        assert len(found) == 199


class TestEverythingStops:
    @pytest.mark.parametrize("status", [400, 401, 403, 500])
    def test_a_bad_token_at_once(self, images, ids, status):
        with serve(images, faults=Faults(refuse_token=status)) as server, graph_of(server) as graph:
            with pytest.raises(TokenRejectedError) as caught:
                list(graph.images(ids, fields=FIELDS))
            assert server.count() <= graph.workers
            time.sleep(0.1)
            asked = server.count()
            with pytest.raises(TokenRejectedError):
                graph.entity(ids[0], fields=FIELDS)
            assert server.count() == asked
        assert SECRET not in str(caught.value)

    def test_a_token_that_goes_bad_on_the_way(self, images, ids):
        with serve(images) as server, graph_of(server, workers=2) as graph:
            batches = graph.images(ids, fields=FIELDS)
            next(batches)
            server.faults = Faults(refuse_token=401)
            with pytest.raises(TokenRejectedError):
                for _ in batches:
                    pass

    def test_an_address_that_is_throttled(self, images, ids):
        with serve(images, faults=Faults(rate=1.0)) as server, graph_of(server) as graph:
            with pytest.raises(ThrottledError):
                list(graph.images(ids, fields=FIELDS))
            assert graph.ended is not None

    def test_too_many_requests_make_all_wait_and_then_go_on(self, images, ids):
        with serve(images, faults=Faults(rate=1.0, first=1, retry_after="0.3")) as server:
            retry = Retry(attempts=4, first_wait=0.001, rate_wait=0.2)
            with graph_of(server, retry=retry) as graph:
                started = time.monotonic()
                found, missing = collected(graph.images(ids[:400], fields=FIELDS))
        assert time.monotonic() - started >= 0.3
        assert (len(found), missing) == (400, {})

    def test_a_service_that_is_down(self, images, ids):
        with serve(images, faults=Faults(temporary=1.0)) as server, graph_of(server) as graph:
            with pytest.raises(ServiceError, match="temporarily"):
                list(graph.images(ids, fields=FIELDS))
            assert server.count() < 24 * QUICK.attempts + 4 * QUICK.attempts

    @pytest.mark.parametrize(
        ("answer", "says"),
        [
            (b'{"data": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "not JSON"),
            (b"", "nothing came"),
            (None, "without an answer"),
        ],
        ids=["damaged", "empty", "closed"],
    )
    def test_a_service_that_answers_no_image_either_is_not_asked_for_ever_smaller_parts(self, answer, says):
        def useless(handler):
            handler.close_connection = True
            if answer is not None:
                handler.send_response(200)
                handler.send_header("Content-Length", str(len(answer)))
                handler.end_headers()
                handler.wfile.write(answer)

        with scripted(useless) as (url, asked), scripted_graph(url) as graph:
            found, missing = collected(graph.images(range(101, 141), fields=FIELDS))
        assert not found
        assert sorted(missing) == list(range(101, 141))
        assert all(says in reason for reason in missing.values())
        assert len(asked) <= 3 * QUICK.attempts

    def test_where_the_first_image_is_gone_the_last_may_break_the_answer(self):
        def broken(handler):
            path, _, query = handler.path.partition("?")
            numbers = query.split("image_ids=")[1].split("&")[0].split(",") if path == "/images" else [path[1:]]
            if "30" in numbers:
                reply(handler, [])
            elif path == "/images":
                reply(handler, {"data": [{"id": number} for number in numbers if number != "1"]})
            elif numbers == ["1"]:
                reply(handler, {"error": {"code": 100, "error_subcode": 33, "message": "does not exist"}}, 400)
            else:
                reply(handler, {"id": numbers[0]})

        with scripted(broken) as (url, _), scripted_graph(url) as graph:
            found, missing = collected(graph.images(range(1, 31), fields=FIELDS))
        assert sorted(found) == list(range(2, 30))
        assert (missing[1], len(missing)) == (GONE, 2)

    def test_no_network(self, ids):
        service = Service(endpoints=Endpoints(graph="http://127.0.0.1:9"), token=TOKEN, retry=QUICK)
        with Graph(service, workers=2) as graph, pytest.raises(NetworkError):
            list(graph.images(ids, fields=FIELDS))

    def test_a_caller_that_calls_it_off(self, images, ids):
        stop = threading.Event()
        slow = Retry(attempts=9, first_wait=60.0, longest_wait=60.0)
        with serve(images, faults=Faults(temporary=1.0)) as server, graph_of(server, retry=slow, stop=stop) as graph:
            threading.Timer(0.2, stop.set).start()
            with pytest.raises(StoppedError):
                without_waiting(lambda: list(graph.images(ids, fields=FIELDS)))

    def test_one_that_stops_reading_leaves_no_requests_behind(self, images, ids):
        with serve(images, faults=Faults(latency=0.02)) as server:
            with graph_of(server, workers=2) as graph:
                next(graph.images(ids, fields=FIELDS))
            # What was on its way when the reading stopped may still arrive; then nothing comes any more.
            asked, before = server.count(), None
            while asked != before:
                time.sleep(0.3)
                asked, before = server.count(), asked
            assert asked <= 5

    def test_nor_do_those_that_would_be_tried_again(self, images, ids):
        with serve(images, faults=Faults(temporary=1.0)) as server:
            with graph_of(server, workers=2, retry=Retry(attempts=50, first_wait=0.2, longest_wait=0.2)) as graph:

                def ask(graph=graph):
                    with pytest.raises(StoppedError):
                        graph.image_ids("s")

                worker = threading.Thread(target=ask, daemon=True)
                worker.start()
                time.sleep(0.1)
            asked = server.count()
            worker.join(HANGS_S)
            assert not worker.is_alive()
            assert server.count() <= asked + 1

    def test_no_more_than_the_workers_at_once(self, images, ids):
        with serve(images, faults=Faults(latency=0.03)) as server, graph_of(server, workers=3) as graph:
            list(graph.images(ids, fields=FIELDS))
            assert 2 <= server.most_at_once <= 3

    def test_both_paces_are_kept(self, images, ids):
        with serve(images) as server:
            started = time.monotonic()
            with graph_of(server, search_pace=Pace(600, 1), entity_pace=Pace(600, 1)) as graph:
                list(graph.images(ids[:800], fields=FIELDS))  # four searches at ten a second
                assert time.monotonic() - started >= 0.3
                assert server.count() == 4
                for number in ids[:3]:
                    graph.entity(number, fields=FIELDS)
                assert time.monotonic() - started >= 0.5


class TestEntities:
    def test_one_image(self, images, ids):
        with serve(images) as server, graph_of(server) as graph:
            record = graph.entity(ids[0], fields=("captured_at", "thumb_256_url", "organization"))
        assert record["id"] == str(ids[0])
        assert set(record) == {"id", "captured_at", "thumb_256_url"}

    def test_one_that_is_gone_is_asked_for_once(self, images):
        with serve(images) as server, graph_of(server) as graph:
            with pytest.raises(GoneError) as caught:
                graph.entity(5, fields=FIELDS)
            assert server.count() == 1
        assert isinstance(caught.value, ServiceError)
        assert "removed" in caught.value.hint

    def test_the_record_of_another_image_is_not_taken(self):
        with (
            scripted((200, {}, b'{"id": "6"}')) as (url, _),
            scripted_graph(url) as graph,
            pytest.raises(ServiceError, match="another id"),
        ):
            graph.entity(5, fields=FIELDS)

    def test_users_and_organizations(self, images):
        user = int(images["creator_id"].iloc[0])
        with (
            serve(images.assign(organization_id=5).astype({"organization_id": "Int64"})) as server,
            graph_of(server) as graph,
        ):
            assert graph.user(user) == {"id": str(user), "username": f"user_{user}"}
            assert graph.user()["id"] == str(images["creator_id"].mode()[0])
            assert graph.organization(5)["slug"] == "organization_5"

    def test_a_real_user(self):
        body = (DATA / "graph" / "user_104214208486349.json").read_bytes()
        with scripted((200, {}, body)) as (url, _), scripted_graph(url) as graph:
            assert graph.user(104214208486349)["username"] == "vorpalblade"

    def test_the_images_of_a_sequence(self, images):
        sequence = images["sequence_id"].iloc[0]
        expected = images[images["sequence_id"] == sequence].sort_values(["captured_at", "id"])["id"].tolist()
        with serve(images) as server, graph_of(server) as graph:
            assert graph.image_ids(sequence) == expected
            assert graph.image_ids("nowhere") == []

    def test_a_real_list_of_images(self):
        body = (DATA / "graph" / "image_ids_7nfcwfvjdtphz7yj6zat6a.json").read_bytes()
        with scripted((200, {}, body)) as (url, asked), scripted_graph(url) as graph:
            ids = graph.image_ids("7nfcwfvjdtphz7yj6zat6a")
        assert ids[0] == 148137757289079
        assert len(ids) == 8
        assert asked[0][0] == "/image_ids?sequence_id=7nfcwfvjdtphz7yj6zat6a"

    @pytest.mark.parametrize("odd", ["../secrets", "a&b=c", "a b", "%00", "ä", "x" * 5000])
    def test_an_odd_sequence_id_is_a_value_and_nothing_else(self, odd):
        with scripted((200, {}, b'{"data": []}')) as (url, asked), scripted_graph(url) as graph:
            assert graph.image_ids(odd) == []
        from urllib.parse import parse_qs, urlsplit

        parts = urlsplit(asked[0][0])
        assert (parts.path, parse_qs(parts.query)) == ("/image_ids", {"sequence_id": [odd]})

    @pytest.mark.parametrize(
        "body", ["[]", "5", '{"data": 5}', '{"data": ["5"]}', '{"data": [{}]}', "<html>", '{"data": [', ""]
    )
    def test_other_answers_are_an_error_after_all_tries(self, body):
        with (
            scripted((200, {}, body.encode())) as (url, asked),
            scripted_graph(url) as graph,
            pytest.raises(ServiceError),
        ):
            graph.image_ids("s")
        assert len(asked) == QUICK.attempts

    def test_real_errors(self):
        limit = (DATA / "graph" / "error_application_request_limit_reached.json").read_bytes()
        with scripted((400, {}, limit), (200, {}, b'{"id": "5"}')) as (url, asked), scripted_graph(url) as graph:
            assert graph.entity(5, fields=FIELDS) == {"id": "5"}
        assert len(asked) == 2
        token = (DATA / "graph" / "error_internal_server_error.json").read_bytes()
        with (
            scripted((500, {}, token)) as (url, asked),
            scripted_graph(url) as graph,
            pytest.raises(TokenRejectedError),
        ):
            graph.entity(5, fields=FIELDS)
        assert len(asked) == 1


class TestSecrets:
    def test_no_log_nor_error_holds_the_token(self, images, ids, caplog):
        caplog.set_level(logging.DEBUG)
        listed = []
        for faults in (Faults(temporary=0.5), Faults(rate=0.5), Faults(redirect=1.0), Faults(refuse_token=400), Faults(too_much=1.0),
                       Faults(html=0.5, next_link="other_host")):  # fmt: skip
            with serve(images, faults=faults) as server, graph_of(server) as graph:
                for ask in (
                    lambda graph: list(graph.images(ids[:50], fields=FIELDS)),
                    lambda graph: graph.entity(ids[0], fields=FIELDS),
                    lambda graph: list(graph.search(fields=FIELDS, creator_username="user_102609045317136", limit=100)),
                    lambda graph: list(graph.search(fields=FIELDS, bbox=(9.165, 48.765, 9.167, 48.767))),
                ):
                    try:
                        listed.append(str(ask(graph)))
                    except ServiceError as error:
                        listed.append("".join(traceback.format_exception(error)) + str(error.hint))
        assert len(listed) == 24
        assert SECRET not in "".join(listed) + caplog.text
        assert "127.0.0.1" in caplog.text  # the requests were logged

    def test_a_redirect_to_another_host_gets_no_token(self, images, ids):
        with serve(images, faults=Faults(redirect=1.0)) as server, graph_of(server) as graph:
            with pytest.raises(ServiceError, match="redirected"):
                graph.entity(ids[0], fields=FIELDS)
            assert server.leaks == 0


class TestWorkerPool:
    def test_tasks_that_come_up_are_done_before_those_that_wait(self):
        pool = WorkerPool(lambda task: task, workers=1, name="test")
        done = []
        for task, _ in pool.results(iter([1, 2, 3, 4, 5, 6])):
            done.append(task)
            if task == 1:
                pool.add([10, 11])
        assert sorted(done) == [1, 2, 3, 4, 5, 6, 10, 11]
        assert done.index(11) < done.index(10) < 5

    def test_few_tasks_are_taken_ahead(self):
        taken = []

        def tasks():
            for number in range(10_000):
                taken.append(number)
                yield number

        results = WorkerPool(lambda task: task, workers=3, name="test").results(tasks())
        for _ in range(10):
            next(results)
        assert len(taken) <= 10 + 2 * 3
        results.close()

    def test_an_exception_is_a_result(self):
        def work(task):
            if task == 3:
                raise KeyError(task)
            return -task

        results = dict(WorkerPool(work, workers=4, name="test").results(range(1, 6)))
        assert isinstance(results.pop(3), KeyError)
        assert results == {1: -1, 2: -2, 4: -4, 5: -5}

    def test_no_tasks(self):
        assert list(WorkerPool(len, workers=2, name="test").results([])) == []


@pytest.mark.parametrize(("images", "calls"), [(0, 0), (1, 1), (200, 1), (201, 2), (100_000, 500)])
def test_how_many_calls_it_takes(images, calls):
    assert calls_for(images) == calls


def test_ids_are_whole_numbers():
    assert (
        WHOLE_NUMBERS.parse("26858300993768842")
        == WHOLE_NUMBERS.parse(np.int64(26858300993768842))
        == 26858300993768842
    )
    with pytest.raises(InputError, match="workers"):
        Graph(Service(token=TOKEN), workers=0)
