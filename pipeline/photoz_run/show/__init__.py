"""One galaxy: what is known of it, and why it has its redshift; on a terminal, as figure or page.

A list of `targets` is looked up in the `holdings`: the files of a survey, a run, or a release. Its
`rows` are found in a catalogue, its sources are measured (`measuring`, `without`) and cut
(`pictures`); what is known makes the `sights`. They are shown on a `terminal`, as `figure`, or on a
`page` with `curves`, by the same `words`.
"""
