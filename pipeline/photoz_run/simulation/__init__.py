"""The simulated survey: population, spectra, rendering, photometry, files.

It imports nothing of run or photoz_models.
"""
