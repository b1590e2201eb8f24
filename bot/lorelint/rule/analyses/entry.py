"""What a function is called for when its name stands in an ops table or is registered somewhere."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from lorelint.code.ir import Function
from lorelint.code.program import Program
from lorelint.code.search import Use
from lorelint.model.finding import Step
from lorelint.rule.analyses.scope import tag


class Kind(StrEnum):
    """When a function is entered, as far as user mappings of its object are concerned."""

    CLOSE = "close"  # the last user of the file is gone: every VMA holds a reference to it
    BEGIN = "begin"  # probe, open, module or boot time: nothing can be mapped yet
    END = "end"  # the system goes down
    FREE = "free"  # the object is freed with its last reference, which a mapping holds
    MOVE = "move"  # a TTM driver's move: ttm_bo_handle_move_mem() unmaps first
    REMOVE = "remove"  # the driver is unbound or the device pulled; files and their mappings stay
    USER = "user"  # system call, sysfs file
    ASYNC = "async"  # work item, timer, interrupt, notifier, power management
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Entry:
    kind: Kind
    table: str  # type of the table, "" for other registrations
    step: Step


_CLOSE = frozenset(
    "release close close_device postclose preclose lastclose dealloc_ucontext proc_release fb_release fb_destroy hw_free".split()
)
_FREE = re.compile(r"^(?:free|gem_free_object\w*|destroy|release_notify|delete_mem_notify|release_pages|dtor|d_release|free_inode)$")
_BEGIN = re.compile(r"^(?:probe|open|open_device|proc_open|fb_open|bind|load|attach|init|hw_init|sw_init|early_init|add|resume\w*|runtime_resume)$")
_REMOVE = re.compile(r"^(?:remove|remove_new|disconnect|unbind|unload|unregister|del|detach|remove_one|hw_fini|sw_fini)$")
_USER = re.compile(
    r"ioctl|^(?:write|write_iter|read|read_iter|store|set|poll|flush|mmap|fault|huge_fault|ndo_\w+|fallocate|fsync|ftruncate|setattr)$"
    r"|_store$|^(?:write|set|store)\w*|readfn|writefn|^func$|doit"
)
_ASYNC = re.compile(
    r"suspend|freeze|poweroff|reset|error_detected|slot_reset|notif|work|^func(?:tion)?$|callback|handler|timer|thread|timedout|recover|scan|shrink|madvise"
)
_REGISTERED = re.compile(r"INIT_(?:DELAYED_|RCU_)?WORK|DECLARE_(?:DELAYED_)?WORK|kthread|timer_setup|tasklet|request_(?:threaded_)?irq|call_rcu|notifier")


def entries(program: Program, fn: Function) -> tuple[Entry, ...]:
    """Every place where the function's name stands as a value, and what it is entered for there."""
    found = [Entry(_kind(use), tag(use.type) if use.kind == "table" else "", _step(use, fn)) for use in program.uses(fn)]
    if boot(fn):
        found.append(Entry(Kind.BEGIN, "", Step(fn.path, fn.line, f"{fn.name}() is an init function")))
    return tuple(found)


def boot(fn: Function) -> bool:
    """Whether a function is marked to run at boot or when its module is loaded."""
    head = fn.text[: max(fn.text.find(b"{"), 0)]
    return re.search(rb"\b__(?:mem|dev)?init\b|\b__net_init\b", head) is not None


def _step(use: Use, fn: Function) -> Step:
    if use.kind == "table":
        return Step(use.path, use.line, f".{use.field} = {fn.name} of {tag(use.type)}")
    if use.kind == "field":
        return Step(use.path, use.line, f"{use.type}->{use.field} = {fn.name}")
    return Step(use.path, use.line, f"{use.type}({fn.name})")


def _kind(use: Use) -> Kind:
    name = use.field.rpartition(".")[2]
    if use.kind == "argument":
        return _argument(use)
    type_ = tag(use.type) if use.kind == "table" else ""
    if type_ in ("ttm_device_funcs", "ttm_bo_driver") and name in ("move", "move_notify", "swap_notify", "evict_flags"):
        return Kind.MOVE
    if type_ == "vm_operations_struct" and name in ("open", "close"):
        return Kind.UNKNOWN
    if type_ == "drm_driver" and name in ("release",):
        return Kind.FREE
    if name in _CLOSE:
        return Kind.CLOSE
    if name == "shutdown":
        return Kind.END
    for pattern, kind in ((_FREE, Kind.FREE), (_REMOVE, Kind.REMOVE), (_BEGIN, Kind.BEGIN), (_USER, Kind.USER), (_ASYNC, Kind.ASYNC)):
        if pattern.search(name):
            return kind
    return Kind.UNKNOWN


def _argument(use: Use) -> Kind:
    if re.search(r"_initcall$|^module_init$|^module_driver$", use.type):
        return Kind.BEGIN
    if re.search(r"^module_exit$|exitcall$", use.type):
        return Kind.CLOSE  # a module cannot go while a file of it is open
    if re.search(r"kref_put|kref_sub|_put_lock", use.type):
        return Kind.FREE
    if _REGISTERED.search(use.type):
        return Kind.ASYNC
    if re.search(r"IOCTL|DEVICE_ATTR|DEFINE_\w*ATTR|SYSCALL|__ATTR", use.type):
        return Kind.USER
    if re.search(r"PM_OPS", use.type):
        return Kind.ASYNC if use.field == "1" or "suspend" in use.type.lower() else Kind.UNKNOWN
    return Kind.UNKNOWN
