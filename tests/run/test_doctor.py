"""``photoz doctor`` says what would go wrong here, and what to do, before a run finds out."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from photoz_models.session import PhotozModel
from photoz_run.run import doctor, machine, trials
from photoz_run.run.doctor import Verdict
from photoz_run.run.machine import FileSystem, Job, Limit

GIB = 1 << 30
PHOTOZ = str(Path(sys.executable).with_name("photoz"))
NAMES = [
    *(
        "program",
        "packages",
        "runtime",
        "model",
        "GPU",
        "cores",
        "memory",
        "address space",
        "open files",
    ),
    *("scratch", "caches", "downloads", "batch job", "network", "Dask"),
]
OLD, NEW = trials.Gpu("Tesla T4", 16 * GIB, 535, 7.5), trials.Gpu("H100", 80 * GIB, 580, 9.0)
VOLTA = trials.Gpu("Tesla V100", 32 * GIB, 580, 7.0)


def photoz_doctor(*options, **environment):
    return subprocess.run(
        [PHOTOZ, "doctor", *options],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", **environment},
        capture_output=True,
        text=True,
        timeout=900,
    )


def test_a_machine_that_passes_these_tests_is_usable():
    said = photoz_doctor("--json")
    report = json.loads(said.stdout)
    assert (said.returncode, said.stderr) == (0, "")
    assert report["usable"]
    assert [finding["name"] for finding in report["findings"]] == NAMES
    findings = {finding["name"]: finding for finding in report["findings"]}
    assert findings["model"]["value"] == "hybrid-sim runs on cpu and gives its golden values"
    assert "answered over TLS" in findings["Dask"]["value"]
    assert all(finding["remedy"] for finding in report["findings"] if finding["verdict"] != "ok")


def test_a_person_reads_a_table_of_eighty_columns_and_an_exit_status(tmp_path):
    metadata = tmp_path / "onnxruntime-1.20.0.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text("Metadata-Version: 2.1\nName: onnxruntime\nVersion: 1.20.0\n")
    said = photoz_doctor("--scratch", str(metadata), PYTHONPATH=str(tmp_path), COLUMNS="80")
    assert said.returncode == 2
    assert said.stderr == ""
    assert max(map(len, said.stdout.splitlines())) <= 80
    lines = [" ".join(line.split()) for line in said.stdout.splitlines()]
    assert any(line.startswith("bad runtime two of them") for line in lines)
    assert "uninstall both, then install one of them again" in " ".join(lines)
    assert any(line.startswith(f"bad scratch {str(metadata)[:20]}") for line in lines)
    assert (
        lines[-1] == "3 bad findings: a run would fail here"
    )  # the runtime, so the model, and scratch


def test_cuda_that_is_asked_for_and_missing_is_bad():
    for finding in (doctor.gpu([], "cuda", {}), doctor.model("cuda", [])):
        assert finding.verdict is Verdict.BAD
        assert "ask the batch system for one, or use --provider cpu" in finding.remedy


def test_an_unused_gpu_is_told_with_the_library_that_is_missing(model, monkeypatch):
    monkeypatch.setattr(PhotozModel, "load", lambda *_, **__: model)
    monkeypatch.setattr(trials, "missing_cuda_library", lambda: "libcublasLt.so.13")
    finding = doctor.model("auto", [NEW])
    assert finding.verdict is Verdict.WARN
    assert finding.remedy == "libcublasLt.so.13 is missing: pip install 'photoz-run[cuda13]'"


@pytest.mark.parametrize(("provider", "verdict"), [("auto", Verdict.WARN), ("cuda", Verdict.BAD)])
def test_a_driver_too_old_for_this_runtime_asks_for_an_older_cuda(provider, verdict, monkeypatch):
    monkeypatch.setattr(trials, "cuda_version", lambda: 13)
    monkeypatch.setattr(trials, "missing_cuda_library", lambda: None)
    finding = doctor.gpu([OLD], provider, {})
    assert finding.verdict is verdict
    assert finding.value == "Tesla T4, 16.0 GiB, driver 535: too old for CUDA 13"
    assert finding.remedy == "pip install 'photoz-run[cuda12]'"
    assert doctor.gpu([NEW], provider, {}).verdict is Verdict.OK


def test_a_card_too_old_for_this_runtime_asks_for_an_older_cuda_and_cudnn(monkeypatch):
    monkeypatch.setattr(trials, "cuda_version", lambda: 13)
    finding = doctor.gpu([VOLTA], "cuda", {})
    assert finding.verdict is Verdict.BAD
    assert finding.value == "Tesla V100, 32.0 GiB, driver 580: too old for CUDA 13"
    assert finding.remedy == "pip install 'photoz-run[cuda12]' 'nvidia-cudnn-cu12<9.11'"


def test_gpus_that_may_not_be_used_or_by_one_process_alone_are_told(monkeypatch):
    monkeypatch.setattr(trials, "cuda_version", lambda: 13)
    finding = doctor.gpu([NEW], "cuda", {"CUDA_VISIBLE_DEVICES": ""})
    assert finding.verdict is Verdict.BAD
    assert "CUDA_VISIBLE_DEVICES is '': none of them may be used" in finding.value
    assert doctor.gpu([NEW], "cpu", {"CUDA_VISIBLE_DEVICES": ""}).verdict is Verdict.OK
    assert doctor.gpu([NEW], "cuda", {"CUDA_VISIBLE_DEVICES": "0"}).verdict is Verdict.OK
    finding = doctor.gpu([replace(NEW, exclusive=True)], "auto", {})
    assert finding.verdict is Verdict.WARN
    assert "MPS" in finding.remedy


def test_gpus_are_read_from_the_drivers_own_program(tmp_path, monkeypatch):
    smi = tmp_path / "nvidia-smi"
    smi.write_text(
        "#!/bin/sh\n"
        "echo '580.95.05, 81920, 9.0, Default, H100'\n"
        "echo '580.95.05, [N/A], 12.1, Exclusive_Process, NVIDIA GB10'\n"
        "echo 'No devices were found'\n"
    )
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    shares_memory = trials.Gpu("NVIDIA GB10", None, 580, 12.1, exclusive=True)
    assert trials.gpus() == [NEW, shares_memory]
    assert "NVIDIA GB10, memory of the machine" in doctor.gpu([shares_memory], "auto", {}).value
    smi.write_text("#!/bin/sh\necho 'NVIDIA-SMI has failed'\nexit 9\n")
    assert trials.gpus() == []


def test_cudas_libraries_are_looked_for_by_loading_the_provider():
    """Without a GPU installation the linker names the first library; with one it names none."""
    missing = trials.missing_cuda_library()
    assert missing is None or missing.startswith("lib")


@pytest.mark.parametrize(
    ("affinity", "quota", "job", "remedy"),
    [
        (8, None, None, ""),
        (8, 8.0, Job("SLURM", "1", 8, None), ""),
        (8, None, Job("SLURM", "1", 2, None), "--workers 2"),
        (8, 2.5, None, "--workers 2"),
        (8, 0.5, None, "--workers 1"),
    ],
)
def test_more_threads_than_were_given_are_warned_of(affinity, quota, job, remedy):
    finding = doctor.cores(affinity, quota, job)
    assert f"starts {affinity} workers" in finding.value
    assert remedy in finding.remedy
    assert (finding.verdict is Verdict.OK) is not bool(remedy)


@pytest.mark.parametrize(
    ("gibibytes", "verdict", "remedy"),
    [
        (12, Verdict.OK, ""),
        (6, Verdict.WARN, "give --workers 4"),
        (1, Verdict.BAD, "ask for more memory"),
    ],
)
def test_memory_is_set_against_the_workers_that_would_start(gibibytes, verdict, remedy):
    finding = doctor.memory(Limit(gibibytes * GIB, "SLURM"), 5 * GIB, workers=8)
    assert finding.verdict is verdict
    assert remedy in finding.remedy
    assert "(SLURM), 5.0 GiB" in finding.value


def test_an_address_space_smaller_than_the_mapped_coadds_is_bad():
    assert doctor.address_space(None).verdict is Verdict.OK
    assert doctor.address_space(20 * GIB).verdict is Verdict.OK
    assert doctor.address_space(8 * GIB).verdict is Verdict.BAD


@pytest.mark.parametrize(
    ("soft", "hard", "verdict", "remedy"),
    [
        (1024, 4096, Verdict.OK, ""),
        (256, 4096, Verdict.WARN, "ulimit -n 4096"),
        (256, 256, Verdict.WARN, "admin"),
    ],
)
def test_open_files_are_counted_in_workers(soft, hard, verdict, remedy):
    finding = doctor.open_files(soft, hard)
    assert finding.verdict is verdict
    assert remedy in finding.remedy


@pytest.mark.parametrize(
    ("kind", "verdict"),
    [("ext4", Verdict.OK), ("nfs4", Verdict.WARN), ("fuse.sshfs", Verdict.WARN), ("tmpfs", "warn")],
)
def test_scratch_on_the_network_or_in_memory_is_warned_of(kind, verdict, tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "file_system", lambda _: FileSystem(kind, "/"))
    monkeypatch.setattr(doctor, "UNPACKED_BYTES", 0)
    assert doctor.scratch_folder(tmp_path).verdict == verdict


def test_scratch_that_is_nearly_full_will_not_hold_unpacked_images(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "file_system", lambda _: FileSystem("xfs", "/"))
    monkeypatch.setattr(doctor, "UNPACKED_BYTES", 1 << 60)
    finding = doctor.scratch_folder(tmp_path)
    assert finding.verdict is Verdict.WARN
    assert ".gz" in finding.remedy
    assert list(tmp_path.iterdir()) == []


def test_inside_a_job_it_matters_whether_others_can_be_submitted(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    job = Job("SLURM", "42", 4, 5400.0)
    finding = doctor.batch(job)
    assert finding.value == "SLURM 42, 1 h 30 min left; no command to submit jobs"
    assert finding.verdict is Verdict.WARN
    assert "--shard" in finding.remedy
    (tmp_path / "sbatch").write_text("#!/bin/sh\n")
    (tmp_path / "sbatch").chmod(0o755)
    assert doctor.batch(job).verdict is Verdict.OK
    assert doctor.batch(None).value == "none; sbatch found"


def test_an_address_that_other_machines_cannot_reach_is_warned_of():
    assert doctor.network("10.0.0.5", {"eth0": "10.0.0.5"}).verdict is Verdict.OK
    finding = doctor.network("127.0.1.1", {"eth0": "10.0.0.5", "ib0": "10.1.0.5"})
    assert finding.verdict is Verdict.WARN
    assert "eth0, ib0" in finding.remedy


def test_a_dask_that_does_not_answer_is_bad(monkeypatch):
    def refuse() -> float:
        raise TimeoutError("connection refused")

    monkeypatch.setattr(trials, "worker_answers", refuse)
    assert doctor.worker().verdict is Verdict.BAD


def test_what_would_be_fetched_or_reported_is_said(monkeypatch):
    assert doctor.downloads().verdict is Verdict.OK
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")
    finding = doctor.downloads()
    assert finding.verdict is Verdict.WARN
    assert "ONNX Runtime reports its use" in finding.value


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(doctor, "SHOWN", ("numpy", "no-such-package"))
    finding = doctor.packages()
    assert finding.verdict is Verdict.BAD
    assert finding.remedy == "no-such-package missing: install photoz-run again"
