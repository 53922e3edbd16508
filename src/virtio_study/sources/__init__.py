"""Where recordings come from: the Proxmox API, its files, and dumps of other programs.

The way of the data: `api` stores answers, `responses` reads them, `history` makes typed values of what they tell of one
server, `runs` finds with `events` when it was what, `normalising` makes frames of the schema, `recorder` writes them.
`files` goes from rows straight to `normalising`; the study's windows say what `runs` would have found.

Words, each for one thing:

answer
    What the API said to one question; `Answer` as stored, `Reply` as it comes.
poll
    An answer of `status/current`.
sample, row
    Values of a moment, or of an interval, in the API's own keys.
boot
    A server's process from its start to its end; a start is the moment at which a boot begins.
run
    A stretch of a boot under one configuration in force.
window
    A stretch for which the study says which driver configuration was in force.
disturbance
    A stretch in which something else went on, so that rows say nothing about drivers.
recording
    What is kept of a run or window; its replicate is the name by which those of one driver configuration differ.
"""
