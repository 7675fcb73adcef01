"""Every code of the table is provoked: the program is brought into the situation, tells the code with a hint, and exits as the table says.

`pytest tests/e2e/test_e2e_codes.py -rP -k storage` shows what people read.
"""

from __future__ import annotations

import provoke_asked
import provoke_disk
import provoke_service
import pytest
from provoking import PLAYED, PROVOKED
from rehearsal import TOKEN

from orchestrator.cli.exits import ENDS
from orchestrator.codes.table import CODES

SITUATIONS = (provoke_asked, provoke_disk, provoke_service)


def test_every_code_has_its_situation_and_every_situation_its_code():
    assert set(PROVOKED) == set(CODES)
    assert set(PLAYED) < set(PROVOKED)


@pytest.mark.parametrize("code", CODES)
async def test_the_code_is_told_with_a_hint_and_the_exit_status_of_the_table(stage, code):
    async with stage() as it:
        ended = await PROVOKED[code](it)
    print(ended.err)  # noqa: T201  what people read
    assert TOKEN not in ended.out + ended.err
    ends = CODES[code].ends
    if ends == "none":
        assert ended.status == 0, str(ended)
        assert f'"code": "{code}"' in ended.err or f"[{code}]" in ended.people, str(ended)
    else:
        assert ended.status == ENDS[ends], str(ended)
        assert f"[{code}]" in ended.people, str(ended)
        assert "hint: " in ended.people or "Next: " in ended.people, str(ended)
    assert code in {"bug", "demo.service"} or "Traceback" not in ended.err, str(ended)
