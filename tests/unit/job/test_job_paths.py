"""Paths: portable everywhere, never out of the folder, never two for one."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.job.misfit import Misfit
from orchestrator.job.paths import MAX_NAME_BYTES, Template, check, collision_key, portable_segment, portable_value


def render(template, **values):
    return Template.parse(template).render(values)


def test_placeholders_and_default():
    assert (
        render("{name}/{team}-{window}.{ext}", name="j", team="a", window="2024-01", ext="json") == "j/a-2024-01.json"
    )
    assert Template.default(["window", "team"]).text == "{window}/{team}.{ext}"
    assert Template.parse("{key}.{ext}").placeholders == {"key", "ext"}


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("a/b", "a_b"),
        ("..", "__"),
        (".", "_"),
        ("a\\b:c", "a_b_c"),
        ("end.", "end_"),
        ("end ", "end_"),
        ("con", "con_"),
        ("COM1.txt", "COM1_.txt"),
        ("lpt²", "lpt²_"),
        ("console", "console"),
        ("a\u202eb", "a_b"),
        ("Zu\u0308rich", "Zürich"),
        ("2024-01-15..2024-01-24", "2024-01-15..2024-01-24"),
    ],
)
def test_labels_become_portable_names(label, name):
    assert render("{team}/x", team=label) == f"{name}/x"


@pytest.mark.parametrize(
    "template",
    [
        "../{team}",
        "/{team}",
        "{team}/",
        "a//b",
        "",
        "a\\b",
        "a:b",
        "con/{team}",
        "x.",
        "{team}.",
        "{team} /a",
        "nul.json",
        "a\x07",
    ],
)
def test_literal_parts_that_are_not_portable_are_refused(template):
    with pytest.raises(Misfit):
        Template.parse(template)


@pytest.mark.parametrize(
    ("template", "hint"),
    [("{tema}", "did you mean {team}?"), ("{team", "between one { and one }"), ("{}", "between one { and one }")],
)
def test_a_wrong_placeholder_has_a_hint(template, hint):
    with pytest.raises(Misfit) as caught:
        Template.parse(template)
    assert hint in caught.value.hint


def test_a_placeholder_without_axis_is_refused():
    with pytest.raises(Misfit, match="no axis 'tag'"):
        Template.parse("{tag}/{team}").check(["team", "window"])


@pytest.mark.parametrize("label", ["manifest.json", ".orchestrator", ".Orchestrator", "MANIFEST.json"])
def test_our_own_names_are_reserved_at_the_top_only(label):
    with pytest.raises(Misfit, match="our own"):
        render("{team}/x", team=label)
    assert render("x/{team}", team=label) == f"x/{label}"


def test_names_leave_room_for_a_temporary_suffix_in_bytes():
    assert render("{team}", team="x" * MAX_NAME_BYTES)
    for label in ("x" * (MAX_NAME_BYTES + 1), "é" * (MAX_NAME_BYTES // 2 + 1), "語" * 75):
        with pytest.raises(Misfit, match="bytes"):
            render("{team}", team=label)
    with pytest.raises(Misfit, match="path has"):
        render("/".join(["{team}"] * 6), team="x" * 200)


@pytest.mark.parametrize(("one", "other"), [("A", "a"), ("Straße", "STRASSE"), ("é", "e\u0301"), ("ﬁ", "FI")])
def test_collision_keys(one, other):
    assert collision_key(one) == collision_key(other)


def test_check_refuses_what_no_template_makes():
    check("a/b.json")
    for path in ("../a", "/a", "a/./b", "", "a\\b", ".orchestrator/x", "a//b"):
        with pytest.raises(Misfit):
            check(path)


@given(st.text(min_size=1, max_size=40), st.text(min_size=1, max_size=40))
def test_no_label_escapes_or_adds_a_segment(one, other):
    path = render("x/{team}/{tag}-y.{ext}", team=one, tag=other, ext="json")
    segments = path.split("/")
    assert len(segments) == 3
    assert all(segment not in ("", ".", "..") and not segment.endswith((".", " ")) for segment in segments)
    assert not set(path) & set('<>:"\\|?*\0')
    assert unicodedata.is_normalized("NFC", path)
    check(path)


@given(st.text(min_size=1, max_size=40))
def test_portable_names_stay_as_they_are(label):
    once = portable_segment(portable_value(label))
    assert portable_segment(portable_value(once)) == once


PIECES = st.lists(
    st.sampled_from(
        ["{team}", "{tag}", "{window}", "{ext}", "{name}", "{key}", "{x}", "{", "}", "/", "//", "..", ".", " ", "\\", ":", "con", "nul.", "a", "é", "e\u0301",
         "\u202e", "\0", "manifest.json", ".orchestrator", "x" * 100]
    ),
    max_size=8,
).map("".join)  # fmt: skip
LABELS = st.text(min_size=1, max_size=20) | st.sampled_from(
    [
        ".",
        "..",
        "/",
        "../..",
        "a/b",
        "con",
        "COM1.x",
        "aux ",
        "a.",
        " ",
        "\\\\host",
        "C:",
        "manifest.json",
        ".orchestrator",
        "ﬁ",
        "\ud800",
        "x" * 230,
        "語" * 80,
    ]
)


@given(st.text(max_size=20) | PIECES, st.tuples(LABELS, LABELS))
def test_whatever_the_template_a_path_stays_below_the_output_or_is_refused(template, labels):
    try:
        read = Template.parse(template)
        path = read.render(
            {"team": labels[0], "tag": labels[1], "window": "2024-01", "ext": "json", "name": "j", "key": "k1-0"}
        )
    except Misfit:
        return
    check(path)
    assert not path.startswith("/")
    assert not {"", ".", ".."} & set(path.split("/"))
    assert path.count("/") == template.count("/"), "a label adds no segment"
    assert all(len(segment.encode("utf-8", "surrogatepass")) <= MAX_NAME_BYTES for segment in path.split("/"))
    assert Template.parse(read.text).render(dict.fromkeys(read.placeholders, "a")) == read.render(
        dict.fromkeys(read.placeholders, "a")
    )


@given(LABELS)
def test_a_path_collides_with_every_form_that_a_file_system_takes_for_the_same(label):
    for form in ("NFC", "NFD"):
        other = unicodedata.normalize(form, label)
        assert collision_key(label) == collision_key(other) == collision_key(other.casefold())
