"""The curated package root, tested against reality."""

import orchestrator


def test_every_public_name_is_there_and_comes_from_where_its_home_says():
    assert set(orchestrator.__all__) == set(orchestrator._HOMES) == set(dir(orchestrator))
    for name in orchestrator.__all__:
        found = getattr(orchestrator, name)
        home = getattr(found, "__module__", None)
        assert home in (None, f"orchestrator.{orchestrator._HOMES[name]}")


def test_an_unknown_name_is_an_attribute_error():
    assert not hasattr(orchestrator, "no_such_name")
