"""What a function is called for when its name stands in an ops table or is registered somewhere."""

from __future__ import annotations

import re
from enum import StrEnum

from msgspec import Struct

from lorelint.code.ir import Function
from lorelint.code.program import Program
from lorelint.code.search import Use
from lorelint.model.finding import Step
from lorelint.model.regex import regex
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
    FROZEN = "frozen"  # system sleep: user space is frozen before and thawed after
    UNKNOWN = "unknown"


class Entry(Struct, frozen=True):
    kind: Kind
    table: str  # type of the table, "" for other registrations
    step: Step
    field: str = ""  # of the table


_CLOSE = frozenset(
    "release close close_device postclose preclose lastclose dealloc_ucontext proc_release "
    "fb_release fb_destroy hw_free".split()
)
_FREE = regex(
    r"^(?:free|gem_free_object\w*|destroy|release_notify|delete_mem_notify|release_pages|dtor|d_release|free_inode)$"
)
_BEGIN = regex(
    r"^(?:probe|open|open_device|proc_open|fb_open|bind|load|attach|init|hw_init|sw_init|early_init|add|resume\w*|runtime_resume)$"
)
_REMOVE = regex(r"^(?:remove|remove_new|disconnect|unbind|unload|unregister|del|detach|remove_one|hw_fini|sw_fini)$")
_USER = regex(
    r"ioctl|^(?:write|write_iter|read|read_iter|store|set|poll|flush|mmap|fault|huge_fault|ndo_\w+|fallocate|fsync|ftruncate|setattr)$"
    r"|_store$|^(?:write|set|store)\w*|readfn|writefn|^func$|doit"
)
_ASYNC = regex(
    r"suspend|freeze|poweroff|reset|error_detected|slot_reset|notif|work|^func(?:tion)?$|callback|handler|timer|thread|timedout|recover|scan|shrink|madvise"
)
_SLEEP = regex(r"^(?:suspend|freeze|poweroff|restore|thaw)(?:_late|_noirq|_prepare)?$")
_TTM = frozenset({"ttm_device_funcs", "ttm_bo_driver"})
_CORE_TABLES = frozenset(
    "file_operations vfio_device_ops dma_buf_ops vm_operations_struct dev_pm_ops pci_error_handlers "
    "bin_attribute notifier_block "
    "ib_device_ops net_device_ops block_device_operations proto_ops proc_ops kernfs_ops sysfs_ops "
    "uacce_ops rproc_ops fb_ops "
    "kvm_device_ops kvm_x86_ops drm_sched_backend_ops drm_gem_object_funcs dma_buf_attach_ops "
    "v4l2_file_operations vb2_ops "
    "iommufd_access_ops vdpa_config_ops bus_type iommu_ops ttm_device_funcs ttm_bo_driver shrinker "
    "drm_mode_config_funcs "
    "snd_pcm_ops cdrom_device_ops tty_operations genl_ops genl_small_ops kernel_param_ops "
    "auxiliary_driver super_operations "
    "inode_operations address_space_operations drm_client_funcs perf_event pmu ptp_clock_info device_type".split()
)
_CALLBACKS = frozenset({"scan_objects", "count_objects", "notifier_call", "function", "func", "vmap_notifier"})
_REGISTERED = regex(
    r"INIT_(?:DELAYED_|RCU_)?WORK|DECLARE_(?:DELAYED_)?WORK|kthread|timer_setup|tasklet|request_(?:threaded_)?irq|call_rcu|notifier"
)


_MACROS = (
    (regex(r"_initcall(?:_sync)?$|^module_init$|^module_driver$"), Kind.BEGIN),
    (regex(r"^module_exit$|exitcall$"), Kind.CLOSE),  # a module cannot go while a file of it is open
    (regex(r"kref_put|kref_sub|_put_lock"), Kind.FREE),
    (regex(r"^devm_\w*action"), Kind.REMOVE),
    (_REGISTERED, Kind.ASYNC),
    (regex(r"IOCTL|DEVICE_ATTR|DEFINE_\w*ATTR|SYSCALL|__ATTR"), Kind.USER),
    (regex(r"RUNTIME_(?:DEV_)?PM_OPS|UNIVERSAL_DEV_PM_OPS"), Kind.ASYNC),
    (regex(r"PM_OPS|PM_SLEEP|syscore"), Kind.FROZEN),
)


def entries(program: Program, fn: Function) -> tuple[Entry, ...]:
    """Every place where the function's name stands as a value, and what it is entered for there."""
    uses = [use for use in program.uses(fn) if not use.type.startswith("EXPORT_SYMBOL")]
    found = [_entry(use, fn) for use in uses]
    if boot(fn):
        found.append(Entry(Kind.BEGIN, "", Step(fn.path, fn.line, f"{fn.name}() is an init function")))
    return tuple(found)


def _entry(use: Use, fn: Function) -> Entry:
    table = use.kind == "table"
    return Entry(kind(use), tag(use.type) if table else "", _step(use, fn), use.field if table else "")


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


def kind(use: Use) -> Kind:
    """What a function is entered for by one place where its name stands as a value."""
    if use.kind == "argument":
        return _argument(use)
    name = use.field.rpartition(".")[2]
    type_ = tag(use.type) if use.kind == "table" else ""
    if type_ in _TTM and name in ("move", "move_notify", "swap_notify", "evict_flags"):
        return Kind.MOVE
    if type_ == "vm_operations_struct" and name in ("open", "close"):
        return Kind.UNKNOWN
    if type_ == "drm_driver" and name == "release":
        return Kind.FREE
    if name in _CLOSE:
        return Kind.CLOSE
    if name == "shutdown":
        return Kind.END
    if _SLEEP.search(name) and type_ in (
        "dev_pm_ops",
        "platform_driver",
        "pci_driver",
        "device_driver",
        "bus_type",
        "syscore_ops",
        "",
    ):
        return Kind.FROZEN
    for pattern, kind in (
        (_FREE, Kind.FREE),
        (_REMOVE, Kind.REMOVE),
        (_BEGIN, Kind.BEGIN),
        (_USER, Kind.USER),
        (_ASYNC, Kind.ASYNC),
    ):
        if pattern.search(name):
            return kind if kind in (Kind.FREE, Kind.BEGIN) or _outside(use, type_, kind) else Kind.UNKNOWN
    return Kind.UNKNOWN


def _outside(use: Use, type_: str, kind: Kind) -> bool:
    """Whether the table is one by which the rest of the kernel comes in; a driver's own tables lead on inside it."""
    if use.kind == "field":
        return kind is Kind.USER or use.field in _CALLBACKS
    return type_ in _CORE_TABLES or type_.endswith(("_driver", "_attribute", "_ioctl_desc", "_ioctl_ops"))


def _argument(use: Use) -> Kind:
    for pattern, kind in _MACROS:
        if pattern.search(use.type):
            return kind
    return Kind.UNKNOWN
