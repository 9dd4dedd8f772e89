"""Tasks on processes: each gets its own share of the work, and nothing of that of others."""

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
