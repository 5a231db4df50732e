"""Rounds: the sequential algorithm of the paper, as far as it goes without waiting.

Regularised evolution (section 3.2) makes one child at a time. Which members a tournament
draws depends on random numbers alone, so a child can be made as soon as *those* members have
their fitness. An island works in rounds: it makes children in order. What the cache of canonical
keys cannot answer becomes a request; all requests of a round are evaluated together, and then the
round is committed, child by child.

A tournament may have drawn members whose fitness is still to come. Few programs that have just
been made are fitter than the best of several others, so the child is made as if none of these
won. When they are known, the tournament is held again: if the guess was wrong, this child and all
that came after it on its island are taken back, and made anew in the next round. What a child
draws does not change by that. So the history is that of one child at a time.

All that depends on order is settled in the order of the children: a cache entry is reserved when
its child asks for it and filled when the score comes, budgets are looked at before a child is
made, improvements and what the hall of fame is offered follow at the commit. A hurdle moves between
two generations, so with hurdles a round ends with a generation at the latest.

How many parents are guessed an island learns from its own rounds. So where they end, and after
which of them it has done its part of a step, follows from its history and not from the threads:
a kernel works on the islands of one thread; other threads have other islands.

`round` says what a round is, `parents` whose child a child is, `proposing` makes the children of a
round, `evaluating` answers what they ask for, `committing` settles them.
"""
