"""Any server with files: what its answers mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlygeo.net import answers, http

if TYPE_CHECKING:
    from collections.abc import Mapping


class Files(http.Service):
    """Any server with files."""

    provider = "files"
    token_hint = "is the address complete, and has it not expired?"  # noqa: S105 - a hint
    picture_redirects = 5

    def judge(
        self, status: int, headers: Mapping[str, str], body: bytes, *, what: str, now: float
    ) -> answers.Trouble | None:
        """Return what is wrong with an answer; see `mlygeo.net.http.Service.judge`."""
        if status in {404, 410}:
            return answers.Trouble(answers.NotFoundError(f"{what} does not exist"), "stop")
        if status == 416:
            return answers.Trouble(answers.RefusedError(f"{what} is empty"), "stop")
        if status in {401, 403}:
            said = f"{what} may not be read: the server answered {status}"
            return answers.Trouble(answers.RefusedError(said, hint=self.token_hint), "stop")
        return super().judge(status, headers, body, what=what, now=now)
