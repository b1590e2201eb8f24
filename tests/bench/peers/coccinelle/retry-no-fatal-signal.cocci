// Loops that go round on "try again" and that SIGKILL does not end.
//
// A label and the goto back to it, and endless loops with their continue: paths, as SmPL sees them. `when any` lets a
// path go round other things; `when !=` is what it must not meet. spatch 1.1.1 has no do-while in a pattern: there the
// condition is matched, and the text of the body is looked through. Callees are not followed.
@initialize:python@
@@
import re
HELPS = re.compile(r"signal_pending|_(killable|interruptible)\w*\s*\(|\b(fixup_user_fault|(pin|get)_user_pages\w*)\s*\(|\+\+|--|\btime_(after|before)")

def say(place):
    print("%s:%s:%s" % (place.file, place.line, place.current_element))

def body(place):
    lines = open(place.file, errors="replace").read().split("\n")
    at = int(place.line) - 1
    while at >= 0 and not lines[at].lstrip().startswith("}"):
        at -= 1  # a condition of several lines
        if int(place.line) - at > 3:
            return None
    if at < 0 or not re.match(r"\s*\}\s*while\b", lines[at]):
        return None
    depth, top = 0, at
    while top >= 0:
        depth += lines[top].count("}") - lines[top].count("{")
        if depth <= 0:
            break
        top -= 1
    return "\n".join(lines[top:int(place.line)])

@label@
identifier l;
expression E;
expression list es;
identifier n;
position p;
@@
l:
 ... when any
      when != fatal_signal_pending(es)
      when != signal_pending(es)
      when != schedule_timeout_killable(es)
      when != wait_event_killable(es)
      when != wait_event_interruptible(es)
      when != mmap_read_lock_killable(es)
      when != mutex_lock_killable(es)
      when != mutex_lock_interruptible(es)
      when != down_read_killable(es)
      when != down_write_killable(es)
      when != fixup_user_fault(es)
      when != pin_user_pages(es)
      when != get_user_pages(es)
      when != pin_user_pages_fast(es)
      when != get_user_pages_fast(es)
      when != pin_user_pages_remote(es)
      when != get_user_pages_remote(es)
      when != n++
      when != ++n
      when != n--
      when != --n
      when != time_after(es)
      when != time_before(es)
 if@p (<+... \(E == -EAGAIN\|E == -EBUSY\|E == -EINTR\) ...+>) goto l;

@script:python@
p << label.p;
@@
say(p[0])

@block@
identifier l;
expression E;
expression list es;
identifier n;
position p;
@@
l:
 ... when any
      when != fatal_signal_pending(es)
      when != signal_pending(es)
      when != schedule_timeout_killable(es)
      when != wait_event_killable(es)
      when != wait_event_interruptible(es)
      when != mmap_read_lock_killable(es)
      when != mutex_lock_killable(es)
      when != mutex_lock_interruptible(es)
      when != down_read_killable(es)
      when != down_write_killable(es)
      when != fixup_user_fault(es)
      when != pin_user_pages(es)
      when != get_user_pages(es)
      when != pin_user_pages_fast(es)
      when != get_user_pages_fast(es)
      when != pin_user_pages_remote(es)
      when != get_user_pages_remote(es)
      when != n++
      when != ++n
      when != n--
      when != --n
      when != time_after(es)
      when != time_before(es)
 if@p (<+... \(E == -EAGAIN\|E == -EBUSY\|E == -EINTR\) ...+>) {
 ... when any
      when != fatal_signal_pending(es)
      when != signal_pending(es)
      when != schedule_timeout_killable(es)
      when != wait_event_killable(es)
      when != wait_event_interruptible(es)
      when != mmap_read_lock_killable(es)
      when != mutex_lock_killable(es)
      when != mutex_lock_interruptible(es)
      when != down_read_killable(es)
      when != down_write_killable(es)
      when != fixup_user_fault(es)
      when != pin_user_pages(es)
      when != get_user_pages(es)
      when != pin_user_pages_fast(es)
      when != get_user_pages_fast(es)
      when != pin_user_pages_remote(es)
      when != get_user_pages_remote(es)
      when != n++
      when != ++n
      when != n--
      when != --n
      when != time_after(es)
      when != time_before(es)
 goto l;
 }

@script:python@
p << block.p;
@@
say(p[0])

@forever@
expression E;
expression list es;
identifier n;
position p;
@@
for@p (;;) {
 ... when any
      when != fatal_signal_pending(es)
      when != signal_pending(es)
      when != schedule_timeout_killable(es)
      when != wait_event_killable(es)
      when != wait_event_interruptible(es)
      when != mmap_read_lock_killable(es)
      when != mutex_lock_killable(es)
      when != mutex_lock_interruptible(es)
      when != down_read_killable(es)
      when != down_write_killable(es)
      when != fixup_user_fault(es)
      when != pin_user_pages(es)
      when != get_user_pages(es)
      when != pin_user_pages_fast(es)
      when != get_user_pages_fast(es)
      when != pin_user_pages_remote(es)
      when != get_user_pages_remote(es)
      when != n++
      when != ++n
      when != n--
      when != --n
      when != time_after(es)
      when != time_before(es)
 if (\(E == -EAGAIN\|E == -EBUSY\|E == -EINTR\)) continue;
 ... when any
 }

@script:python@
p << forever.p;
@@
say(p[0])

@forever_unless@
expression E;
expression list es;
identifier n;
position p;
@@
for@p (;;) {
 ... when any
      when != fatal_signal_pending(es)
      when != signal_pending(es)
      when != schedule_timeout_killable(es)
      when != wait_event_killable(es)
      when != wait_event_interruptible(es)
      when != mmap_read_lock_killable(es)
      when != mutex_lock_killable(es)
      when != mutex_lock_interruptible(es)
      when != down_read_killable(es)
      when != down_write_killable(es)
      when != fixup_user_fault(es)
      when != pin_user_pages(es)
      when != get_user_pages(es)
      when != pin_user_pages_fast(es)
      when != get_user_pages_fast(es)
      when != pin_user_pages_remote(es)
      when != get_user_pages_remote(es)
      when != n++
      when != ++n
      when != n--
      when != --n
      when != time_after(es)
      when != time_before(es)
 if (\(E != -EAGAIN\|E != -EBUSY\|E != -EINTR\)) break;
 ... when any
      when != fatal_signal_pending(es)
      when != signal_pending(es)
      when != schedule_timeout_killable(es)
      when != wait_event_killable(es)
      when != wait_event_interruptible(es)
      when != mmap_read_lock_killable(es)
      when != mutex_lock_killable(es)
      when != mutex_lock_interruptible(es)
      when != down_read_killable(es)
      when != down_write_killable(es)
      when != fixup_user_fault(es)
      when != pin_user_pages(es)
      when != get_user_pages(es)
      when != pin_user_pages_fast(es)
      when != get_user_pages_fast(es)
      when != pin_user_pages_remote(es)
      when != get_user_pages_remote(es)
      when != n++
      when != ++n
      when != n--
      when != --n
      when != time_after(es)
      when != time_before(es)
 }

@script:python@
p << forever_unless.p;
@@
say(p[0])

@one@
expression E;
expression list es;
identifier n;
position p;
@@
while@p (1) {
 ... when any
      when != fatal_signal_pending(es)
      when != signal_pending(es)
      when != schedule_timeout_killable(es)
      when != wait_event_killable(es)
      when != wait_event_interruptible(es)
      when != mmap_read_lock_killable(es)
      when != mutex_lock_killable(es)
      when != mutex_lock_interruptible(es)
      when != down_read_killable(es)
      when != down_write_killable(es)
      when != fixup_user_fault(es)
      when != pin_user_pages(es)
      when != get_user_pages(es)
      when != pin_user_pages_fast(es)
      when != get_user_pages_fast(es)
      when != pin_user_pages_remote(es)
      when != get_user_pages_remote(es)
      when != n++
      when != ++n
      when != n--
      when != --n
      when != time_after(es)
      when != time_before(es)
 if (\(E == -EAGAIN\|E == -EBUSY\|E == -EINTR\)) continue;
 ... when any
 }

@script:python@
p << one.p;
@@
say(p[0])

@one_unless@
expression E;
expression list es;
identifier n;
position p;
@@
while@p (1) {
 ... when any
      when != fatal_signal_pending(es)
      when != signal_pending(es)
      when != schedule_timeout_killable(es)
      when != wait_event_killable(es)
      when != wait_event_interruptible(es)
      when != mmap_read_lock_killable(es)
      when != mutex_lock_killable(es)
      when != mutex_lock_interruptible(es)
      when != down_read_killable(es)
      when != down_write_killable(es)
      when != fixup_user_fault(es)
      when != pin_user_pages(es)
      when != get_user_pages(es)
      when != pin_user_pages_fast(es)
      when != get_user_pages_fast(es)
      when != pin_user_pages_remote(es)
      when != get_user_pages_remote(es)
      when != n++
      when != ++n
      when != n--
      when != --n
      when != time_after(es)
      when != time_before(es)
 if (\(E != -EAGAIN\|E != -EBUSY\|E != -EINTR\)) break;
 ... when any
      when != fatal_signal_pending(es)
      when != signal_pending(es)
      when != schedule_timeout_killable(es)
      when != wait_event_killable(es)
      when != wait_event_interruptible(es)
      when != mmap_read_lock_killable(es)
      when != mutex_lock_killable(es)
      when != mutex_lock_interruptible(es)
      when != down_read_killable(es)
      when != down_write_killable(es)
      when != fixup_user_fault(es)
      when != pin_user_pages(es)
      when != get_user_pages(es)
      when != pin_user_pages_fast(es)
      when != get_user_pages_fast(es)
      when != pin_user_pages_remote(es)
      when != get_user_pages_remote(es)
      when != n++
      when != ++n
      when != n--
      when != --n
      when != time_after(es)
      when != time_before(es)
 }

@script:python@
p << one_unless.p;
@@
say(p[0])

@truth@
expression E;
symbol true;
expression list es;
identifier n;
position p;
@@
while@p (true) {
 ... when any
      when != fatal_signal_pending(es)
      when != signal_pending(es)
      when != schedule_timeout_killable(es)
      when != wait_event_killable(es)
      when != wait_event_interruptible(es)
      when != mmap_read_lock_killable(es)
      when != mutex_lock_killable(es)
      when != mutex_lock_interruptible(es)
      when != down_read_killable(es)
      when != down_write_killable(es)
      when != fixup_user_fault(es)
      when != pin_user_pages(es)
      when != get_user_pages(es)
      when != pin_user_pages_fast(es)
      when != get_user_pages_fast(es)
      when != pin_user_pages_remote(es)
      when != get_user_pages_remote(es)
      when != n++
      when != ++n
      when != n--
      when != --n
      when != time_after(es)
      when != time_before(es)
 if (\(E == -EAGAIN\|E == -EBUSY\|E == -EINTR\)) continue;
 ... when any
 }

@script:python@
p << truth.p;
@@
say(p[0])

@truth_unless@
expression E;
symbol true;
expression list es;
identifier n;
position p;
@@
while@p (true) {
 ... when any
      when != fatal_signal_pending(es)
      when != signal_pending(es)
      when != schedule_timeout_killable(es)
      when != wait_event_killable(es)
      when != wait_event_interruptible(es)
      when != mmap_read_lock_killable(es)
      when != mutex_lock_killable(es)
      when != mutex_lock_interruptible(es)
      when != down_read_killable(es)
      when != down_write_killable(es)
      when != fixup_user_fault(es)
      when != pin_user_pages(es)
      when != get_user_pages(es)
      when != pin_user_pages_fast(es)
      when != get_user_pages_fast(es)
      when != pin_user_pages_remote(es)
      when != get_user_pages_remote(es)
      when != n++
      when != ++n
      when != n--
      when != --n
      when != time_after(es)
      when != time_before(es)
 if (\(E != -EAGAIN\|E != -EBUSY\|E != -EINTR\)) break;
 ... when any
      when != fatal_signal_pending(es)
      when != signal_pending(es)
      when != schedule_timeout_killable(es)
      when != wait_event_killable(es)
      when != wait_event_interruptible(es)
      when != mmap_read_lock_killable(es)
      when != mutex_lock_killable(es)
      when != mutex_lock_interruptible(es)
      when != down_read_killable(es)
      when != down_write_killable(es)
      when != fixup_user_fault(es)
      when != pin_user_pages(es)
      when != get_user_pages(es)
      when != pin_user_pages_fast(es)
      when != get_user_pages_fast(es)
      when != pin_user_pages_remote(es)
      when != get_user_pages_remote(es)
      when != n++
      when != ++n
      when != n--
      when != --n
      when != time_after(es)
      when != time_before(es)
 }

@script:python@
p << truth_unless.p;
@@
say(p[0])

@round@
expression E;
position p;
@@
\(E@p == -EAGAIN\|E@p == -EBUSY\|E@p == -EINTR\)

@script:python@
p << round.p;
@@
text = body(p[0])
if text is not None and not HELPS.search(text) and "&&" not in text.rpartition("while")[2]:
    say(p[0])
