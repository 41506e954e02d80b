"""Plan, ledger, driver, worker, cluster: many tiles. The only place that imports Dask."""
