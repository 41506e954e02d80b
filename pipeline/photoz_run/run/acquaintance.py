"""Who the workers of a run are: the host of each, and whether it has the program of the run.

A new worker is asked once. The answer is not waited for: a worker that was stopped gives none.
"""

import threading
from collections.abc import Callable, Collection
from queue import SimpleQueue
from typing import Any

from distributed import Client

from photoz_run.errors import ContractError
from photoz_run.run.task import TileTask
from photoz_run.run.worker import introduce


class Acquaintance:
    """Hosts by the addresses of workers; ``refused`` is told of those without the program.

    They load the model of ``task`` meanwhile. ``told`` is called when one has answered.
    """

    def __init__(
        self,
        refused: Callable[[str, Exception], None],
        task: TileTask | None,
        told: Callable[[], None],
    ) -> None:
        self.names: dict[str, str] = {}
        self._refused = refused
        self._task = task
        self._told = told
        self._asked: set[str] = set()
        self._answers: SimpleQueue[tuple[str, Any]] = SimpleQueue()

    def host(self, address: str) -> str:
        """The host of a worker; its network name if it has not answered."""
        return self.names.get(address) or _network_name(address)

    def ask(self, client: Client, addresses: Collection[str]) -> bool:
        """Ask new workers and note the answers; whether some are still to come."""
        for address in set(addresses) - self.names.keys() - self._asked:
            self._asked.add(address)
            asking = (client, address)
            threading.Thread(target=self._ask, args=asking, daemon=True, name="ask").start()
        while not self._answers.empty():
            address, answer = self._answers.get()
            self._asked.discard(address)
            if address in addresses and not isinstance(answer, OSError):  # else gone again
                self._note(address, answer)
        return not self._asked.isdisjoint(addresses)

    def _ask(self, client: Client, address: str) -> None:
        # Not as a task: a worker that cannot unpack one goes away and says nothing.
        try:
            answers = client.run(introduce, self._task, workers=[address], on_error="return")
        except Exception as error:  # noqa: BLE001 - handed on to the driver's thread
            answers = {address: OSError(str(error))}
        self._answers.put((address, answers[address]))
        self._told()

    def _note(self, address: str, answer: Any) -> None:
        _, ours = introduce()
        if isinstance(answer, tuple):
            host, program = answer
            problem = f"has photoz-run {program}"
        else:
            host, program = _network_name(address), ""
            problem = f"cannot import photoz-run ({answer})"
        self.names[address] = host
        if program != ours:
            words = f"{problem}, the run was planned with {ours}: install the same everywhere"
            self._refused(host, ContractError(f"{host} {words}"))


def _network_name(address: str) -> str:
    """The host in an address: ``10.0.0.7`` of ``tls://10.0.0.7:34567``."""
    return address.rpartition("/")[2].rpartition(":")[0]
