// Loops that go round on "try again" with nothing on the way round that gives up the CPU.
//
// A label and the goto back to it, and endless loops with their continue: paths, as SmPL sees them. `when any` lets a
// path go round other things; `when !=` is what it must not meet. spatch 1.1.1 has no do-while in a pattern: there the
// condition is matched, and the text of the body is looked through. Callees are not followed.
@initialize:python@
@@
import re
HELPS = re.compile(r"\b(cond_resched\w*|(io_)?schedule\w*|msleep\w*|usleep_range\w*|fsleep|ssleep|wait_(event|for)\w*|flush_work\w*|synchronize_s?rcu\w*|\w*_backoff)\s*\(")

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
position p;
@@
l:
 ... when any
      when != cond_resched()
      when != schedule()
      when != schedule_timeout(es)
      when != schedule_timeout_interruptible(es)
      when != schedule_timeout_uninterruptible(es)
      when != msleep(es)
      when != usleep_range(es)
      when != fsleep(es)
      when != ssleep(es)
      when != msleep_interruptible(es)
      when != wait_event(es)
      when != wait_event_interruptible(es)
      when != wait_event_killable(es)
      when != wait_event_timeout(es)
      when != wait_for_completion(es)
      when != flush_work(es)
      when != synchronize_rcu()
      when != synchronize_srcu(es)
      when != drm_modeset_backoff(es)
      when != io_schedule()
 if@p (<+... \(E == -EAGAIN\|E == -EBUSY\|E == -EINTR\) ...+>) goto l;

@script:python@
p << label.p;
@@
say(p[0])

@block@
identifier l;
expression E;
expression list es;
position p;
@@
l:
 ... when any
      when != cond_resched()
      when != schedule()
      when != schedule_timeout(es)
      when != schedule_timeout_interruptible(es)
      when != schedule_timeout_uninterruptible(es)
      when != msleep(es)
      when != usleep_range(es)
      when != fsleep(es)
      when != ssleep(es)
      when != msleep_interruptible(es)
      when != wait_event(es)
      when != wait_event_interruptible(es)
      when != wait_event_killable(es)
      when != wait_event_timeout(es)
      when != wait_for_completion(es)
      when != flush_work(es)
      when != synchronize_rcu()
      when != synchronize_srcu(es)
      when != drm_modeset_backoff(es)
      when != io_schedule()
 if@p (<+... \(E == -EAGAIN\|E == -EBUSY\|E == -EINTR\) ...+>) {
 ... when any
      when != cond_resched()
      when != schedule()
      when != schedule_timeout(es)
      when != schedule_timeout_interruptible(es)
      when != schedule_timeout_uninterruptible(es)
      when != msleep(es)
      when != usleep_range(es)
      when != fsleep(es)
      when != ssleep(es)
      when != msleep_interruptible(es)
      when != wait_event(es)
      when != wait_event_interruptible(es)
      when != wait_event_killable(es)
      when != wait_event_timeout(es)
      when != wait_for_completion(es)
      when != flush_work(es)
      when != synchronize_rcu()
      when != synchronize_srcu(es)
      when != drm_modeset_backoff(es)
      when != io_schedule()
 goto l;
 }

@script:python@
p << block.p;
@@
say(p[0])

@forever@
expression E;
expression list es;
position p;
@@
for@p (;;) {
 ... when any
      when != cond_resched()
      when != schedule()
      when != schedule_timeout(es)
      when != schedule_timeout_interruptible(es)
      when != schedule_timeout_uninterruptible(es)
      when != msleep(es)
      when != usleep_range(es)
      when != fsleep(es)
      when != ssleep(es)
      when != msleep_interruptible(es)
      when != wait_event(es)
      when != wait_event_interruptible(es)
      when != wait_event_killable(es)
      when != wait_event_timeout(es)
      when != wait_for_completion(es)
      when != flush_work(es)
      when != synchronize_rcu()
      when != synchronize_srcu(es)
      when != drm_modeset_backoff(es)
      when != io_schedule()
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
position p;
@@
for@p (;;) {
 ... when any
      when != cond_resched()
      when != schedule()
      when != schedule_timeout(es)
      when != schedule_timeout_interruptible(es)
      when != schedule_timeout_uninterruptible(es)
      when != msleep(es)
      when != usleep_range(es)
      when != fsleep(es)
      when != ssleep(es)
      when != msleep_interruptible(es)
      when != wait_event(es)
      when != wait_event_interruptible(es)
      when != wait_event_killable(es)
      when != wait_event_timeout(es)
      when != wait_for_completion(es)
      when != flush_work(es)
      when != synchronize_rcu()
      when != synchronize_srcu(es)
      when != drm_modeset_backoff(es)
      when != io_schedule()
 if (\(E != -EAGAIN\|E != -EBUSY\|E != -EINTR\)) break;
 ... when any
      when != cond_resched()
      when != schedule()
      when != schedule_timeout(es)
      when != schedule_timeout_interruptible(es)
      when != schedule_timeout_uninterruptible(es)
      when != msleep(es)
      when != usleep_range(es)
      when != fsleep(es)
      when != ssleep(es)
      when != msleep_interruptible(es)
      when != wait_event(es)
      when != wait_event_interruptible(es)
      when != wait_event_killable(es)
      when != wait_event_timeout(es)
      when != wait_for_completion(es)
      when != flush_work(es)
      when != synchronize_rcu()
      when != synchronize_srcu(es)
      when != drm_modeset_backoff(es)
      when != io_schedule()
 }

@script:python@
p << forever_unless.p;
@@
say(p[0])

@one@
expression E;
expression list es;
position p;
@@
while@p (1) {
 ... when any
      when != cond_resched()
      when != schedule()
      when != schedule_timeout(es)
      when != schedule_timeout_interruptible(es)
      when != schedule_timeout_uninterruptible(es)
      when != msleep(es)
      when != usleep_range(es)
      when != fsleep(es)
      when != ssleep(es)
      when != msleep_interruptible(es)
      when != wait_event(es)
      when != wait_event_interruptible(es)
      when != wait_event_killable(es)
      when != wait_event_timeout(es)
      when != wait_for_completion(es)
      when != flush_work(es)
      when != synchronize_rcu()
      when != synchronize_srcu(es)
      when != drm_modeset_backoff(es)
      when != io_schedule()
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
position p;
@@
while@p (1) {
 ... when any
      when != cond_resched()
      when != schedule()
      when != schedule_timeout(es)
      when != schedule_timeout_interruptible(es)
      when != schedule_timeout_uninterruptible(es)
      when != msleep(es)
      when != usleep_range(es)
      when != fsleep(es)
      when != ssleep(es)
      when != msleep_interruptible(es)
      when != wait_event(es)
      when != wait_event_interruptible(es)
      when != wait_event_killable(es)
      when != wait_event_timeout(es)
      when != wait_for_completion(es)
      when != flush_work(es)
      when != synchronize_rcu()
      when != synchronize_srcu(es)
      when != drm_modeset_backoff(es)
      when != io_schedule()
 if (\(E != -EAGAIN\|E != -EBUSY\|E != -EINTR\)) break;
 ... when any
      when != cond_resched()
      when != schedule()
      when != schedule_timeout(es)
      when != schedule_timeout_interruptible(es)
      when != schedule_timeout_uninterruptible(es)
      when != msleep(es)
      when != usleep_range(es)
      when != fsleep(es)
      when != ssleep(es)
      when != msleep_interruptible(es)
      when != wait_event(es)
      when != wait_event_interruptible(es)
      when != wait_event_killable(es)
      when != wait_event_timeout(es)
      when != wait_for_completion(es)
      when != flush_work(es)
      when != synchronize_rcu()
      when != synchronize_srcu(es)
      when != drm_modeset_backoff(es)
      when != io_schedule()
 }

@script:python@
p << one_unless.p;
@@
say(p[0])

@truth@
expression E;
symbol true;
expression list es;
position p;
@@
while@p (true) {
 ... when any
      when != cond_resched()
      when != schedule()
      when != schedule_timeout(es)
      when != schedule_timeout_interruptible(es)
      when != schedule_timeout_uninterruptible(es)
      when != msleep(es)
      when != usleep_range(es)
      when != fsleep(es)
      when != ssleep(es)
      when != msleep_interruptible(es)
      when != wait_event(es)
      when != wait_event_interruptible(es)
      when != wait_event_killable(es)
      when != wait_event_timeout(es)
      when != wait_for_completion(es)
      when != flush_work(es)
      when != synchronize_rcu()
      when != synchronize_srcu(es)
      when != drm_modeset_backoff(es)
      when != io_schedule()
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
position p;
@@
while@p (true) {
 ... when any
      when != cond_resched()
      when != schedule()
      when != schedule_timeout(es)
      when != schedule_timeout_interruptible(es)
      when != schedule_timeout_uninterruptible(es)
      when != msleep(es)
      when != usleep_range(es)
      when != fsleep(es)
      when != ssleep(es)
      when != msleep_interruptible(es)
      when != wait_event(es)
      when != wait_event_interruptible(es)
      when != wait_event_killable(es)
      when != wait_event_timeout(es)
      when != wait_for_completion(es)
      when != flush_work(es)
      when != synchronize_rcu()
      when != synchronize_srcu(es)
      when != drm_modeset_backoff(es)
      when != io_schedule()
 if (\(E != -EAGAIN\|E != -EBUSY\|E != -EINTR\)) break;
 ... when any
      when != cond_resched()
      when != schedule()
      when != schedule_timeout(es)
      when != schedule_timeout_interruptible(es)
      when != schedule_timeout_uninterruptible(es)
      when != msleep(es)
      when != usleep_range(es)
      when != fsleep(es)
      when != ssleep(es)
      when != msleep_interruptible(es)
      when != wait_event(es)
      when != wait_event_interruptible(es)
      when != wait_event_killable(es)
      when != wait_event_timeout(es)
      when != wait_for_completion(es)
      when != flush_work(es)
      when != synchronize_rcu()
      when != synchronize_srcu(es)
      when != drm_modeset_backoff(es)
      when != io_schedule()
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
if text is not None and not HELPS.search(text):
    say(p[0])
