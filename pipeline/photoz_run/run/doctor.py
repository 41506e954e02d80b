"""Whether a run can work here. The model runs, a file is written, a worker answers."""

import platform
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from shutil import which

from photoz_models.documents import Record
from photoz_models.errors import BundleError
from photoz_models.providers import Provider
from photoz_models.session import PhotozModel, available_threads, check_runtime
from photoz_run import __version__
from photoz_run.config import BUNDLED_MODEL, model_path
from photoz_run.errors import PhotozError
from photoz_run.images.storage import measure_storage
from photoz_run.run import machine, trials
from photoz_run.run.gpus import VISIBLE, usable_gpus
from photoz_run.run.offline import keep_caches_local
from photoz_run.version import package_versions, program_commit

SHOWN = (
    "numpy",
    "astropy",
    "fitsio",
    "pyarrow",
    "dask",
    "distributed",
    "dask-jobqueue",
    "cryptography",
)
RUNTIMES = ("onnxruntime-gpu", "onnxruntime")
WORKER_BYTES = 1536 << 20
"""Memory that a worker should have; docs/speed.md says what a full-size tile needs."""
MAPPED_BYTES = 16 << 30
"""Address space of a worker on a full-size tile: 13 GB of mapped coadds, and itself."""
UNPACKED_BYTES = 14 << 30
"""Scratch of a worker on a full-size tile whose images are all .gz."""
FEW_FILES = 1024
"""Open files below which a run of some hundred workers would end."""
CUDA_NEEDS = {12: (525, 5.0), 13: (580, 7.5)}
"""Major version of CUDA -> the oldest driver that runs it, and the oldest kind of card."""
NEW_CUDNN_NEEDS = 7.5
"""The oldest kind of card on which cuDNN 9.11 and later compute, whatever the CUDA."""


class Verdict(StrEnum):
    """``BAD``: a run would fail here; ``WARN``: it would work, but worse than it could."""

    OK = "ok"
    WARN = "warn"
    BAD = "bad"


@dataclass(frozen=True)
class Diagnosis(Record):
    """One thing looked at, and what to do about it unless it is ok."""

    name: str
    value: str
    verdict: Verdict = Verdict.OK
    remedy: str = ""


@dataclass(frozen=True)
class DoctorReport(Record):
    """What ``photoz doctor --json`` says."""

    usable: bool
    """Whether a run can work here: nothing is bad."""
    findings: tuple[Diagnosis, ...]


def examine(
    provider: Provider,
    scratch: Path | None,
    environment: Mapping[str, str],
    data: Path | None = None,
) -> Iterator[Diagnosis]:
    """All findings, each as soon as it is known; takes a few seconds."""
    gpus, job, threads = trials.gpus(), machine.batch_job(environment), available_threads()
    checks: tuple[Callable[[], Diagnosis], ...] = (
        program,
        packages,
        runtime,
        lambda: model(provider, gpus),
        lambda: gpu(gpus, provider, environment),
        lambda: cores(threads, machine.cpu_quota(), job),
        lambda: memory(machine.memory_limit(environment), machine.free_memory(), threads),
        lambda: address_space(machine.address_space()),
        lambda: open_files(*machine.open_files()),
        lambda: scratch_folder(scratch or Path(tempfile.gettempdir())),
        caches,
        downloads,
        lambda: batch(job),
        lambda: network(trials.address(), trials.interfaces()),
        worker,
        *((lambda: storage(data),) if data is not None else ()),
    )
    return (check() for check in checks)


def program() -> Diagnosis:
    """Version and commit of the program, and where it runs."""
    python = f"Python {platform.python_version()}"
    return Diagnosis(
        "program",
        f"photoz-run {__version__}, commit {program_commit()}, {python} on {platform.node()}",
    )


def packages() -> Diagnosis:
    """Versions of the packages that decide how a run works."""
    versions = package_versions((*SHOWN, *RUNTIMES))
    value = " ".join(f"{name}=={number}" for name, number in versions.items())
    if lacking := [name for name in SHOWN if name not in versions]:
        return Diagnosis(
            "packages",
            value,
            Verdict.BAD,
            f"{' and '.join(lacking)} missing: install photoz-run again",
        )
    return Diagnosis("packages", value)


def runtime() -> Diagnosis:
    """Whether there is one ONNX Runtime; of two it is not known which would run."""
    try:
        check_runtime()
    except BundleError as error:
        return Diagnosis("runtime", "two of them", Verdict.BAD, str(error))
    installed = " ".join(package_versions(RUNTIMES))
    return Diagnosis("runtime", f"{installed}, and no second one beside it")


def model(provider: Provider, gpus: list[trials.Gpu]) -> Diagnosis:
    """Load the shipped bundle, and say which provider really ran it."""
    try:
        loaded = PhotozModel.load(model_path(BUNDLED_MODEL), provider, allow_fallback=False)
    except PhotozError as error:
        remedy = _cuda_remedy(gpus) if provider == "cuda" else "install again"
        return Diagnosis("model", str(error), Verdict.BAD, remedy)
    value = f"{BUNDLED_MODEL} runs on {loaded.computes_on} and gives its golden values"
    if provider == "auto" and loaded.provider == "cpu" and gpus:
        value += f", but there is a GPU ({loaded.problem})"
        return Diagnosis("model", value, Verdict.WARN, _cuda_remedy(gpus))
    return Diagnosis("model", value)


def gpu(
    gpus: list[trials.Gpu],
    provider: Provider,
    environment: Mapping[str, str],
) -> Diagnosis:
    """The GPUs that the driver shows; whether they may be used, and are new enough."""
    worse = Verdict.BAD if provider == "cuda" else Verdict.WARN
    if not gpus:
        verdict = Verdict.BAD if provider == "cuda" else Verdict.OK
        return Diagnosis("GPU", "none", verdict, _cuda_remedy(gpus) if verdict != "ok" else "")
    value = "; ".join(map(_described, gpus))
    if provider != "cpu" and VISIBLE in environment and not usable_gpus(environment):
        hidden = f"{VISIBLE} is {environment[VISIBLE]!r}: none of them may be used"
        remedy = f"ask the batch system for a GPU, or unset {VISIBLE}"
        return Diagnosis("GPU", f"{value}; {hidden}", worse, remedy)
    cuda = trials.cuda_version()
    if cuda is not None and cuda > _cuda(gpus):
        return Diagnosis("GPU", f"{value}: too old for CUDA {cuda}", worse, _cuda_remedy(gpus))
    if provider != "cpu" and any(card.exclusive for card in gpus):
        remedy = "give as many --workers as there are GPUs, or start NVIDIA's MPS"
        value += "; one process at a time may compute on it"
        return Diagnosis("GPU", value, Verdict.WARN, remedy)
    return Diagnosis("GPU", value)


def cores(affinity: int, quota: float | None, job: machine.Job | None) -> Diagnosis:
    """Cores that this process may use, and the workers and threads that follow."""
    value = (
        f"{affinity} of {machine.cpu_count()}, so a run here starts {affinity} workers of 1 thread"
    )
    if job and job.cores and job.cores < affinity:
        remedy = f"cores are not bound to jobs here: give --workers {job.cores}"
        return Diagnosis(
            "cores", f"{value}; {job.system} gave this job {job.cores}", Verdict.WARN, remedy
        )
    if quota and quota < affinity:
        remedy = f"the time quota throttles more than that: give --workers {max(1, int(quota))}"
        return Diagnosis(
            "cores", f"{value}; the control group allows {quota:g}", Verdict.WARN, remedy
        )
    return Diagnosis("cores", value)


def memory(limit: machine.Limit, free: int, workers: int) -> Diagnosis:
    """Memory that this process and its workers may use together."""
    value = f"{_size(limit.bytes)} ({limit.source}), {_size(free)} of the machine's are free"
    enough = limit.bytes // WORKER_BYTES
    if enough >= workers:
        return Diagnosis("memory", value)
    remedy = f"a worker needs {_size(WORKER_BYTES)}: "
    if enough:
        return Diagnosis(
            "memory",
            value,
            Verdict.WARN,
            f"{remedy}give --workers {enough}, or ask for more memory",
        )
    return Diagnosis("memory", value, Verdict.BAD, f"{remedy}ask for more memory")


def address_space(limit: int | None) -> Diagnosis:
    """``ulimit -v``, in which mapped coadds count.

    Some batch systems set it from the memory asked for.
    """
    if limit is None or limit >= MAPPED_BYTES:
        return Diagnosis("address space", "unlimited" if limit is None else _size(limit))
    remedy = (
        f"mapped coadds count: a full-size tile needs {_size(MAPPED_BYTES)};"
        " ulimit -v unlimited, or ask for more"
    )
    return Diagnosis("address space", _size(limit), Verdict.BAD, remedy)


def open_files(soft: int, hard: int) -> Diagnosis:
    """``ulimit -n``, and for how many workers it will do."""
    free = max(0, soft - machine.FILES_OWN)
    beside, elsewhere = free // machine.FILES_LOCAL, free // machine.FILES_REMOTE
    value = f"{soft} at once: enough for {beside} workers here, or {elsewhere} on other machines"
    if soft >= FEW_FILES:
        return Diagnosis("open files", value)
    remedy = f"ulimit -n {hard}" if hard > soft else "more must be allowed by the administrators"
    return Diagnosis("open files", value, Verdict.WARN, remedy)


def scratch_folder(folder: Path) -> Diagnosis:
    """Write a file on scratch and read it again; say how much is free, and on which disk it is."""
    choose = "choose a folder on a disk of this machine with TMPDIR, and scratch in the TOML file"
    try:
        free = trials.write_and_read(folder)
    except OSError as error:
        return Diagnosis("scratch", f"{folder}: {error.strerror or error}", Verdict.BAD, choose)
    system = machine.file_system(folder.resolve())
    value = f"{folder} ({system.kind}, {system.place}), {_size(free)} free"
    if system.place == "network":
        return Diagnosis("scratch", value, Verdict.WARN, f"it lies on another machine: {choose}")
    if system.place == "memory":
        return Diagnosis(
            "scratch", value, Verdict.WARN, f"what lies there counts as your memory: {choose}"
        )
    if free < UNPACKED_BYTES:
        return Diagnosis(
            "scratch",
            value,
            Verdict.WARN,
            f"a tile of .gz images needs {_size(UNPACKED_BYTES)} a worker",
        )
    return Diagnosis("scratch", value)


def storage(folder: Path) -> Diagnosis:
    """Measure what reading here and there costs below a data folder; plans go by it."""
    try:
        measured = measure_storage(folder)
    except OSError as error:
        reason = f"{folder}: {error.strerror or error}"
        return Diagnosis("storage", reason, Verdict.BAD, "name a folder with the survey's files")
    value = (
        f"storage_seek = {measured.seek * 1e6:.1f}, storage_stream = {measured.stream / 1e6:.0f}"
        f" (microseconds a piece, MB/s) in {folder}"
    )
    return Diagnosis("storage", value, Verdict.OK, "write these two lines into the TOML file")


def caches() -> Diagnosis:
    """Where libraries keep their caches."""
    return Diagnosis("caches", f"{keep_caches_local()}, not the home folder")


def downloads() -> Diagnosis:
    """Whether anything would be fetched or reported at run time."""
    uses = trials.network_uses()
    if uses:
        value, remedy = " and ".join(uses), "export ORT_DISABLE_TELEMETRY=1"
        return Diagnosis("downloads", value, Verdict.WARN, remedy)
    return Diagnosis(
        "downloads", "none: astropy keeps its installed tables, ONNX Runtime reports nothing"
    )


def batch(job: machine.Job | None) -> Diagnosis:
    """The batch job, the time it has left, and whether it could submit others."""
    commands = [name for name in machine.SUBMIT if which(name)]
    submit = f"{' and '.join(commands)} found" if commands else "no command to submit jobs"
    if job is None:
        return Diagnosis("batch job", f"none; {submit}")
    value = f"{job.system} {job.name}, {_duration(job.seconds_left)}; {submit}"
    if commands:
        return Diagnosis("batch job", value)
    remedy = (
        "a driver cannot start workers from here: use --cluster local, or a job array with --shard"
    )
    return Diagnosis("batch job", value, Verdict.WARN, remedy)


def network(address: str, interfaces: Mapping[str, str]) -> Diagnosis:
    """The address at which workers on other machines would look for the scheduler."""
    listed = ", ".join(f"{name} {own}" for name, own in interfaces.items())
    if address.startswith("127.") and interfaces:
        remedy = (
            "workers elsewhere could not find it:"
            f" set interface in [cluster] to one of {', '.join(interfaces)}"
        )
        return Diagnosis("network", f"{address}; interfaces {listed}", Verdict.WARN, remedy)
    return Diagnosis("network", f"{address}; interfaces {listed or 'none but loopback'}")


def worker() -> Diagnosis:
    """Start a scheduler and a worker process on loopback, over TLS, and let it answer."""
    try:
        seconds = trials.worker_answers()
    except (OSError, RuntimeError, TimeoutError) as error:
        remedy = "a firewall on loopback, or no more processes (ulimit -u)?"
        return Diagnosis("Dask", f"no answer over TLS: {error}", Verdict.BAD, remedy)
    return Diagnosis(
        "Dask", f"a worker answered over TLS on loopback, {seconds:.1f} s with its start"
    )


def _cuda_remedy(gpus: list[trials.Gpu]) -> str:
    if not gpus:
        return "no GPU here: ask the batch system for one, or use --provider cpu"
    newest = _cuda(gpus)
    if not newest:
        return "driver or card is older than CUDA 12: use --provider cpu"
    install = f"pip install 'photoz-run[cuda{newest}]'"
    if gpus[0].capability is not None and gpus[0].capability < NEW_CUDNN_NEEDS:
        install += f" 'nvidia-cudnn-cu{newest}<9.11'"
    if (trials.cuda_version() or 0) > newest:
        return install
    missing = trials.missing_cuda_library()
    if missing:
        return f"{missing} is missing: {install}"
    return "CUDA's libraries are there, but do not start: see what nvidia-smi says of the GPU"


def _cuda(gpus: list[trials.Gpu]) -> int:
    """The newest CUDA that driver and card run; 0 if none of those known."""
    card = gpus[0]
    known = [
        cuda
        for cuda, (driver, capability) in CUDA_NEEDS.items()
        if card.driver >= driver and (card.capability or capability) >= capability
    ]
    return max(known, default=0)


def _described(card: trials.Gpu) -> str:
    size = "memory of the machine" if card.bytes is None else _size(card.bytes)
    return f"{card.name}, {size}, driver {card.driver}"


def _size(number: int) -> str:
    return f"{number / (1 << 30):.1f} GiB"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "time left unknown"
    hours, minutes = divmod(int(seconds) // 60, 60)
    return f"{hours} h {minutes} min left"
