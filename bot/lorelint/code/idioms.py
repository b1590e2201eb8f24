"""What kernel C means beyond its syntax: macros that report, functions that do not return, literal conditions."""

from __future__ import annotations

from lorelint.code import ir

# Macros that report a condition and hand it on: name -> which argument is the condition. From asm-generic/bug.h,
# linux/{kvm_host,ratelimit,dev_printk,pci,fb}.h, sound/core.h, drm/drm_print.h under include/, i915 and xe (6.12).
REPORTS = {
    "WARN_ON": 0, "WARN_ON_ONCE": 0, "WARN": 0, "WARN_ONCE": 0, "WARN_TAINT": 0, "WARN_TAINT_ONCE": 0,
    "WARN_RATELIMIT": 0, "WARN_ON_RATELIMIT": 0, "WARN_ON_SMP": 0, "DEBUG_LOCKS_WARN_ON": 0,
    "KVM_BUG": 0, "KVM_BUG_ON": 0, "snd_BUG_ON": 0, "GEM_WARN_ON": 0, "XE_WARN_ON": 0, "XE_IOCTL_DBG": 1,
    "drm_WARN": 1, "drm_WARN_ONCE": 1, "drm_WARN_ON": 1, "drm_WARN_ON_ONCE": 1, "dev_WARN_ONCE": 1, "pci_WARN_ONCE": 1,
    "fb_WARN_ONCE": 1, "fb_WARN_ON_ONCE": 1, "gt_WARN_ONCE": 1, "gt_WARN_ON": 1, "gt_WARN_ON_ONCE": 1,
    "guc_WARN_ONCE": 1, "guc_WARN_ON": 1, "guc_WARN_ON_ONCE": 1, "xe_gt_WARN": 1, "xe_gt_WARN_ONCE": 1,
    "xe_gt_WARN_ON": 1, "xe_gt_WARN_ON_ONCE": 1,
}  # fmt: skip

# Functions that do not come back: tools/objtool/noreturns.h (6.12), its older names (5.10), and macros for one of them.
NORETURN = frozenset({
    "BUG", "panic", "nmi_panic", "nmi_panic_self_stop", "panic_smp_self_stop", "do_exit", "do_group_exit",
    "do_task_dead", "make_task_dead", "rewind_stack_and_make_dead", "rewind_stack_do_exit", "complete_and_exit",
    "kthread_exit", "kthread_complete_and_exit", "module_put_and_exit", "module_put_and_kthread_exit",
    "__module_put_and_exit", "__module_put_and_kthread_exit", "unreachable", "__builtin_unreachable", "__builtin_trap",
    "__stack_chk_fail", "fortify_panic", "__fortify_panic", "usercopy_abort", "stop_this_cpu", "machine_real_restart",
    "arch_cpu_idle_dead", "cpu_startup_entry", "kunit_try_catch_throw", "__kunit_abort", "snp_abort",
    "sev_es_terminate",
})  # fmt: skip


def reported(call: ir.Call) -> ir.Expr | None:
    """The condition that ``WARN_ON(c)`` and its like are worth."""
    which = REPORTS.get(call.name, -1)
    return call.args[which] if 0 <= which < len(call.args) else None


def constant(expr: ir.Expr) -> bool | None:
    """The truth of what literals decide (``1``, ``!0``, ``1 || a``), None for all else."""
    above: list[ir.Expr] = []
    while True:
        below = _first_asked(expr)
        if below is not None:
            above.append(expr)
            expr = below
            continue
        truth = _literal(expr)
        while above:
            if truth is None:
                return None
            match above.pop():
                case ir.Call():
                    pass
                case ir.Unary():
                    truth = not truth
                case ir.Ternary(then=ir.Expr() as then, other=other):
                    expr = then if truth else other
                    break
                case ir.Binary(op="&&", right=right) if truth:
                    expr = right
                    break
                case ir.Binary(op="||", right=right) | ir.Ternary(other=right) if not truth:
                    expr = right
                    break
        else:
            return truth


def _first_asked(expr: ir.Expr) -> ir.Expr | None:
    """The part of a condition that is tested first, None for one that is whole."""
    match expr:
        case ir.Unary(op="!", operand=below) | ir.Binary(op="&&" | "||", left=below) | ir.Ternary(cond=below):
            return below
        case ir.Call(args=args) if args:
            return reported(expr)
    return None


def _literal(expr: ir.Expr) -> bool | None:
    match expr:
        case ir.Number(value=value) | ir.Unary(op="-", operand=ir.Number(value=value)):
            return None if value is None else value != 0
        case ir.Name(name="true"):
            return True
        case ir.Name(name="false" | "NULL"):
            return False
        case ir.Text():
            return True
    return None
