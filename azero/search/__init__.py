"""The method of the paper, on the host: evolution and random search over programs.

Who reads it from the beginning begins with `rounds`, which is the algorithm: an island makes
children, asks for their fitness, and settles them in order. Around it, from the inside out:
`islands` is what it works on, `proposals` makes its programs, `scoring` answers it, `worker` is a
thread that does so for some islands, `search` has all threads, `evolution` and `random_search` are
what one calls. `history` remembers; `groups` puts searches of several kinds together.
"""
