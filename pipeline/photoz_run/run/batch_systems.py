"""dask-jobqueue's classes. Its import takes Ctrl-C over; here that is given back."""

from photoz_run.interrupts import handler_kept

with handler_kept():
    from dask_jobqueue.core import Job as Job
    from dask_jobqueue.core import JobQueueCluster as JobQueueCluster
    from dask_jobqueue.htcondor import HTCondorCluster, HTCondorJob
    from dask_jobqueue.lsf import LSFCluster, LSFJob
    from dask_jobqueue.oar import OARCluster, OARJob
    from dask_jobqueue.pbs import PBSCluster, PBSJob
    from dask_jobqueue.sge import SGECluster, SGEJob
    from dask_jobqueue.slurm import SLURMCluster, SLURMJob

SYSTEMS: dict[str, tuple[type[JobQueueCluster], type[Job]]] = {
    "slurm": (SLURMCluster, SLURMJob),
    "pbs": (PBSCluster, PBSJob),
    "sge": (SGECluster, SGEJob),
    "lsf": (LSFCluster, LSFJob),
    "oar": (OARCluster, OARJob),
    "htcondor": (HTCondorCluster, HTCondorJob),
}
"""By the name that ``--cluster`` takes."""
