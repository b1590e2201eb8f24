// A goto that goes back on -EAGAIN and meets no cond_resched() on the way: as much of unbounded-retry as SmPL says in
// a few lines (spatch 1.1.1 has no do-while in a pattern). It looks at no bound, no sleep by another name, no callee.
@@
expression E;
identifier again;
@@
* again:
  ... when != cond_resched()
      when any
  if (E == -EAGAIN)
* goto again;
