"""The method of the paper, on the host: evolution and random search over programs.

Who reads it from the beginning begins with `rounds`, which is the algorithm: an island proposes
children, their fitness is asked for, and they are settled in order. Around it, from the inside out:
`islands` is what it works on, with their `ancestry`, `proposals` makes its programs, `scoring` has
the caches and hurdles, `threads` run rounds for some islands each, `search` has all threads,
`evolution` and `random_search` are what one calls. `history` remembers; `groups` puts searches of
several kinds together.

Beside these: settings (`config`, `methods`, `budgets`), random numbers (`draws`, `tournament`),
what made a program (`origins`), what threads hand each other (`handover`), what is asked of every
search (`protocol`), and what is saved of it (`state`, `plain`, `checked_state`); `compilation`
compiles kernels in another process.
"""
