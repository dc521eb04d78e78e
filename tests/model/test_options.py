from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcm4py_leading.model.options import AEOptions, Options, parse_options
from dcm4py_leading.model.values import AETitle

HERE, ELSEWHERE = AETitle("HERE"), AETitle("ELSEWHERE")


def test_without_settings_everything_is_as_documented() -> None:
    options = parse_options([])
    assert options == Options()
    assert options.of(HERE) == AEOptions(leading_first=False, original_attributes_on_retrieve=False)
    assert (options.leading_page_size, options.compat_5_35) == (100, False)
    assert options.last_known_max_age == timedelta(hours=24)
    assert options.leading_deadline == timedelta(seconds=15)


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("last-known-max-age=PT0S", "last_known_max_age", timedelta(0)),
        ("last-known-max-age=P1DT12H", "last_known_max_age", timedelta(hours=36)),
        ("leading-page-size=1", "leading_page_size", 1),
        ("leading-page-size=1000", "leading_page_size", 1000),
        ("leading-deadline=PT0.5S", "leading_deadline", timedelta(seconds=0.5)),
        ("proxy-keep=0", "proxy_keep", 0),
        ("proxy-keep=1234", "proxy_keep", 1234),
        ("proxy-keep=3K", "proxy_keep", 3 << 10),
        ("proxy-keep=500M", "proxy_keep", 500 << 20),
        ("proxy-keep=20G", "proxy_keep", 20 << 30),
        ("proxy-keep=1T", "proxy_keep", 1 << 40),
    ],
)
def test_setting_of_the_service(text: str, name: str, value: object) -> None:
    options = parse_options([text])
    assert getattr(options, name) == value
    assert options == Options(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["leading-first", "original-attributes-on-retrieve"])
@pytest.mark.parametrize(("text", "value"), [("true", True), ("TRUE", True), ("false", False), ("False", False)])
def test_setting_of_all_aes(name: str, text: str, value: bool) -> None:
    of_ae = parse_options([f"{name}={text}"]).of(HERE)
    assert of_ae == AEOptions(**{name.replace("-", "_"): value})


def test_setting_of_one_ae_is_not_that_of_another() -> None:
    options = parse_options(["HERE:leading-first=true"])
    assert options.of(HERE).leading_first
    assert not options.of(ELSEWHERE).leading_first


@pytest.mark.parametrize("reverse", [False, True])
def test_setting_of_an_ae_goes_before_one_for_all_wherever_it_stands(reverse: bool) -> None:
    settings = ["leading-first=true", "HERE:leading-first=false"]
    options = parse_options(reversed(settings) if reverse else settings)
    assert not options.of(HERE).leading_first
    assert options.of(ELSEWHERE).leading_first


def test_settings_absent_on_an_ae_are_those_of_the_device() -> None:
    options = parse_options(["original-attributes-on-retrieve=true", "HERE:leading-first=true"])
    assert options.of(HERE) == AEOptions(leading_first=True, original_attributes_on_retrieve=True)


def test_last_of_the_same_setting_counts() -> None:
    options = parse_options(
        ["leading-page-size=5", "HERE:leading-first=true", "leading-page-size=7", "HERE:leading-first=false"]
    )
    assert (options.leading_page_size, options.of(HERE).leading_first) == (7, False)


@pytest.mark.parametrize("compat_5_35", [False, True])
def test_compat_stands_beside_the_settings(compat_5_35: bool) -> None:
    options = parse_options(["leading-page-size=5"], compat_5_35=compat_5_35)
    assert (options.compat_5_35, options.leading_page_size) == (compat_5_35, 5)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("leading-first", r"expected \[AET:\]NAME=VALUE, not 'leading-first'"),
        ("", "expected"),
        ("=true", "unknown setting ''"),
        (
            "leading-second=true",
            "unknown setting 'leading-second': expected one of last-known-max-age, leading-deadline",
        ),
        ("leading_first=true", "unknown setting"),
        ("HERE:leading-page-size=5", "'leading-page-size': expected one of leading-first, original-attributes"),
        ("leading-first=", "expected true or false"),
        ("leading-first=yes", "'leading-first=yes': expected true or false"),
        ("HERE:leading-first=1", "expected true or false"),
        (":leading-first=true", "':leading-first=true': "),
        ("A-TITLE-THAT-IS-TOO-LONG:leading-first=true", "A-TITLE-THAT-IS-TOO-LONG"),
        ("leading-page-size=0", "expected a number from 1 to 1000"),
        ("leading-page-size=1001", "expected a number from 1 to 1000"),
        ("leading-page-size=-1", "expected a number"),
        ("leading-page-size=ten", "expected a number"),
        ("leading-page-size=", "expected a number"),
        ("leading-deadline=15", "'leading-deadline=15': expected an ISO 8601 duration"),
        ("leading-deadline=-PT1S", "cannot be negative"),
        ("last-known-max-age=P1M", "months"),
        ("proxy-keep=", "expected a number of bytes"),
        ("proxy-keep=G", "expected a number of bytes"),
        ("proxy-keep=-1", "expected a number of bytes"),
        ("proxy-keep=1.5G", "expected a number of bytes"),
        ("proxy-keep=20g", "expected a number of bytes"),
        ("proxy-keep=9999999T", "expected a number of bytes"),
        ("HERE:proxy-keep=1G", "unknown setting 'proxy-keep'"),
    ],
)
def test_wrong_setting_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_options(["HERE:leading-first=true", text])


@given(
    st.dictionaries(
        st.sampled_from(["HERE", "ELSEWHERE", "A B", "C:D"]),
        st.fixed_dictionaries(
            {}, optional={"leading-first": st.booleans(), "original-attributes-on-retrieve": st.booleans()}
        ),
    ),
    st.randoms(use_true_random=False),
)
def test_settings_of_aes_mean_the_same_in_any_order(by_ae: dict[str, dict[str, Any]], random: Any) -> None:
    settings = [f"{title}:{name}={value}" for title, values in by_ae.items() for name, value in values.items()]
    shuffled = random.sample(settings, len(settings))
    options = parse_options(shuffled)
    assert options == parse_options(settings)
    for title, values in by_ae.items():
        assert options.of(AETitle(title)) == AEOptions(
            **{name.replace("-", "_"): value for name, value in values.items()}
        )
