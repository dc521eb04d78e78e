"""Change of a device by a request: foretold, or made."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from dcm4py_leading.config.device_json import RequestedTree
from dcm4py_leading.config.entry import Entry
from dcm4py_leading.config.following.difference import Difference
from dcm4py_leading.config.report.problem_json import problem_json
from dcm4py_leading.config.writing.editor import Editor
from dcm4py_leading.config.writing.plan import Plan
from dcm4py_leading.log import Repeated
from dcm4py_leading.web.rest.configuration.failures import Refusal
from dcm4py_leading.web.rest.operations import BOOLEAN, Parameter, flag

LOG = logging.getLogger(__name__)

DRY_RUN = Parameter(
    name="dry-run", meaning="Nothing is written: the answer tells what would be, with status 200.", schema=BOOLEAN
)
REGISTER = Parameter(
    name="register",
    meaning="false: AE titles are neither entered in nor removed from the Unique AE Titles Registry.",
    schema=BOOLEAN,
)
_MAX_SKIPPED = 20
"""Members that are named in the log."""
_skipped = Repeated(LOG)


def device_entries(editor: Editor, name: str) -> tuple[Entry, ...]:
    """The device of that name and all below it. Raises Refusal 404."""
    found = editor.entries(name)
    if not found:
        raise Refusal(404, f"there is no device {name}")
    return found


def change(
    editor: Editor,
    request: Request,
    device_name: str,
    wanted: RequestedTree,
    base: Sequence[Entry],
    *,
    registers: bool = False,
    done: Response | None = None,
) -> Response:
    """Make of ``base``, the device as it was read for this request, what is wanted; the answer is ``done``, or 204."""
    _tell_skipped(wanted.skipped)
    is_trial = asked(request, "dry-run", default=False)
    plan = editor.plan(device_name, wanted.entries, base=base, registers=registers)
    if is_trial:
        return _trial(plan, wanted.skipped)
    editor.save(plan, author=request.state.identity.name)
    return Response(status_code=204) if done is None else done


def asked(request: Request, name: str, *, default: bool) -> bool:
    """`operations.flag`. Raises Refusal 400."""
    try:
        return flag(request, name, default=default)
    except ValueError as err:
        raise Refusal(400, str(err)) from None


def _trial(plan: Plan, skipped: Iterable[str]) -> Response:
    return JSONResponse(
        {
            "ldif": plan.ldif_shown,
            "differences": [_difference_json(difference) for difference in plan.differences],
            "problems": [problem_json(problem) for problem in plan.problems],
            "skipped": list(skipped),
        }
    )


def _difference_json(difference: Difference) -> dict[str, str]:
    return {
        "kind": difference.kind.value,
        "objectClass": difference.object_class,
        "name": difference.name,
        "text": str(difference),
    }


def _tell_skipped(paths: Sequence[str]) -> None:
    if paths:
        shown = ", ".join(ascii(path[:120]) for path in paths[:_MAX_SKIPPED])
        more = f" and {len(paths) - _MAX_SKIPPED} more" if len(paths) > _MAX_SKIPPED else ""
        _skipped.warning("HTTP: members of a document that mean nothing here were skipped: %s%s", shown, more)
