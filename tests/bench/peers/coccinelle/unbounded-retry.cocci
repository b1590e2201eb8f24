// Loops that go round on "try again" with neither a counter nor a clock on the way round.
//
// A label and the goto back to it, and endless loops with their continue: paths, as SmPL sees them. `when any` lets a
// path go round other things; `when !=` is what it must not meet. spatch 1.1.1 has no do-while in a pattern: there the
// condition is matched, and the text of the body is looked through. Callees are not followed.
@initialize:python@
@@
import re
HELPS = re.compile(r"\+\+|--|[-+]=|\btime_(after|before|is_)|\bktime_(after|before)|signal_pending|\btimeout\b|\bretries\b")

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
expression X, Y;
identifier n;
position p;
@@
l:
 ... when any
      when != n++
      when != ++n
      when != n--
      when != --n
      when != n += X
      when != n -= X
      when != time_after(X, Y)
      when != time_before(X, Y)
      when != time_is_before_jiffies(X)
      when != ktime_after(X, Y)
      when != ktime_before(X, Y)
      when != signal_pending(X)
      when != fatal_signal_pending(X)
 if@p (<+... \(E == -EAGAIN\|E == -EBUSY\|E == -EINTR\) ...+>) goto l;

@script:python@
p << label.p;
@@
say(p[0])

@block@
identifier l;
expression E;
expression X, Y;
identifier n;
position p;
@@
l:
 ... when any
      when != n++
      when != ++n
      when != n--
      when != --n
      when != n += X
      when != n -= X
      when != time_after(X, Y)
      when != time_before(X, Y)
      when != time_is_before_jiffies(X)
      when != ktime_after(X, Y)
      when != ktime_before(X, Y)
      when != signal_pending(X)
      when != fatal_signal_pending(X)
 if@p (<+... \(E == -EAGAIN\|E == -EBUSY\|E == -EINTR\) ...+>) {
 ... when any
      when != n++
      when != ++n
      when != n--
      when != --n
      when != n += X
      when != n -= X
      when != time_after(X, Y)
      when != time_before(X, Y)
      when != time_is_before_jiffies(X)
      when != ktime_after(X, Y)
      when != ktime_before(X, Y)
      when != signal_pending(X)
      when != fatal_signal_pending(X)
 goto l;
 }

@script:python@
p << block.p;
@@
say(p[0])

@forever@
expression E;
expression X, Y;
identifier n;
position p;
@@
for@p (;;) {
 ... when any
      when != n++
      when != ++n
      when != n--
      when != --n
      when != n += X
      when != n -= X
      when != time_after(X, Y)
      when != time_before(X, Y)
      when != time_is_before_jiffies(X)
      when != ktime_after(X, Y)
      when != ktime_before(X, Y)
      when != signal_pending(X)
      when != fatal_signal_pending(X)
 if (\(E == -EAGAIN\|E == -EBUSY\|E == -EINTR\)) continue;
 ... when any
 }

@script:python@
p << forever.p;
@@
say(p[0])

@forever_unless@
expression E;
expression X, Y;
identifier n;
position p;
@@
for@p (;;) {
 ... when any
      when != n++
      when != ++n
      when != n--
      when != --n
      when != n += X
      when != n -= X
      when != time_after(X, Y)
      when != time_before(X, Y)
      when != time_is_before_jiffies(X)
      when != ktime_after(X, Y)
      when != ktime_before(X, Y)
      when != signal_pending(X)
      when != fatal_signal_pending(X)
 if (\(E != -EAGAIN\|E != -EBUSY\|E != -EINTR\)) break;
 ... when any
      when != n++
      when != ++n
      when != n--
      when != --n
      when != n += X
      when != n -= X
      when != time_after(X, Y)
      when != time_before(X, Y)
      when != time_is_before_jiffies(X)
      when != ktime_after(X, Y)
      when != ktime_before(X, Y)
      when != signal_pending(X)
      when != fatal_signal_pending(X)
 }

@script:python@
p << forever_unless.p;
@@
say(p[0])

@one@
expression E;
expression X, Y;
identifier n;
position p;
@@
while@p (1) {
 ... when any
      when != n++
      when != ++n
      when != n--
      when != --n
      when != n += X
      when != n -= X
      when != time_after(X, Y)
      when != time_before(X, Y)
      when != time_is_before_jiffies(X)
      when != ktime_after(X, Y)
      when != ktime_before(X, Y)
      when != signal_pending(X)
      when != fatal_signal_pending(X)
 if (\(E == -EAGAIN\|E == -EBUSY\|E == -EINTR\)) continue;
 ... when any
 }

@script:python@
p << one.p;
@@
say(p[0])

@one_unless@
expression E;
expression X, Y;
identifier n;
position p;
@@
while@p (1) {
 ... when any
      when != n++
      when != ++n
      when != n--
      when != --n
      when != n += X
      when != n -= X
      when != time_after(X, Y)
      when != time_before(X, Y)
      when != time_is_before_jiffies(X)
      when != ktime_after(X, Y)
      when != ktime_before(X, Y)
      when != signal_pending(X)
      when != fatal_signal_pending(X)
 if (\(E != -EAGAIN\|E != -EBUSY\|E != -EINTR\)) break;
 ... when any
      when != n++
      when != ++n
      when != n--
      when != --n
      when != n += X
      when != n -= X
      when != time_after(X, Y)
      when != time_before(X, Y)
      when != time_is_before_jiffies(X)
      when != ktime_after(X, Y)
      when != ktime_before(X, Y)
      when != signal_pending(X)
      when != fatal_signal_pending(X)
 }

@script:python@
p << one_unless.p;
@@
say(p[0])

@truth@
expression E;
symbol true;
expression X, Y;
identifier n;
position p;
@@
while@p (true) {
 ... when any
      when != n++
      when != ++n
      when != n--
      when != --n
      when != n += X
      when != n -= X
      when != time_after(X, Y)
      when != time_before(X, Y)
      when != time_is_before_jiffies(X)
      when != ktime_after(X, Y)
      when != ktime_before(X, Y)
      when != signal_pending(X)
      when != fatal_signal_pending(X)
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
expression X, Y;
identifier n;
position p;
@@
while@p (true) {
 ... when any
      when != n++
      when != ++n
      when != n--
      when != --n
      when != n += X
      when != n -= X
      when != time_after(X, Y)
      when != time_before(X, Y)
      when != time_is_before_jiffies(X)
      when != ktime_after(X, Y)
      when != ktime_before(X, Y)
      when != signal_pending(X)
      when != fatal_signal_pending(X)
 if (\(E != -EAGAIN\|E != -EBUSY\|E != -EINTR\)) break;
 ... when any
      when != n++
      when != ++n
      when != n--
      when != --n
      when != n += X
      when != n -= X
      when != time_after(X, Y)
      when != time_before(X, Y)
      when != time_is_before_jiffies(X)
      when != ktime_after(X, Y)
      when != ktime_before(X, Y)
      when != signal_pending(X)
      when != fatal_signal_pending(X)
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
