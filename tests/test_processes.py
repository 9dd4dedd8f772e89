"""Tasks on processes: each gets its own share of the work, and nothing of that of others."""

import os
import sys
from pathlib import Path

import pytest
from helpers.processes import start, wait_for

from mlygeo import systems
from mlygeo.errors import FileError
from mlygeo.processes import Processes


class Task(list):
    """A list that counts how often it is sent to a process."""

    sent = 0

    def __reduce__(self):
        type(self).sent += 1
        return list, (list(self),)


def too_often(number):
    return FileError(f"task {number}")


def test_a_task_is_sent_once_and_by_itself():
    tasks = [Task(range(number)) for number in range(8)]
    for number in (1, 2):
        Task.sent = 0
        with Processes(number) as processes:
            found = dict(processes.each_of(len, tasks, too_often=too_often))
        assert found == {number: number for number in range(8)}
        assert Task.sent == (0 if number == 1 else len(tasks))


PROGRAM = """
import sys
from functools import partial
from pathlib import Path
from helpers.processes import locked_asleep
from mlygeo.processes import Processes
with Processes(2) as processes:
    list(processes.each(partial(locked_asleep, Path(sys.argv[1])), [1, 2], too_often=lambda number: SystemExit(number)))
"""


@pytest.mark.parametrize("number_of_parent", ["as it is", "never changes"])
def test_processes_end_with_a_program_that_is_killed(tmp_path, number_of_parent):
    """Also where the number of the parent stays when it is gone, as on Windows."""
    if number_of_parent == "never changes":
        (tmp_path / "sitecustomize.py").write_text(
            "import os\nof_parent = os.getppid()\nos.getppid = lambda: of_parent\n"
        )
    paths = [str(tmp_path), str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    program = start([sys.executable, "-c", PROGRAM, tmp_path], env=environment)
    wait_for(lambda: len(list(tmp_path.glob("*.begun"))) == 2, program)
    program.kill()
    program.wait()
    for path in tmp_path.glob("*.new"):
        with path.open("rb+") as file:
            wait_for(lambda file=file: systems.locked(file.fileno()))
