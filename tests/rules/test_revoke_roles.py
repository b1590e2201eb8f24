"""revoke-without-unmap where a marker is known by its role, and where a driver's own table leads to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

RULE = "revoke-without-unmap"
Ask = Callable[..., Any]

TEXT = """
struct unit { struct pci_dev *pdev; struct inode *inode; bool usable; bool noisy; const struct unit_ops *ops;
	      int state; unsigned long pfn; };
struct unit_ops { int (*stop)(struct unit *u); };

static int unit_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct unit *u = file->private_data;

	return MAPS;
}

static int unit_open(struct inode *inode, struct file *file)
{
	struct unit *u = container_of(inode->i_cdev, struct unit, cdev);

	ASKS
	file->private_data = u;
	return 0;
}

static const struct file_operations unit_fops = { .mmap = unit_mmap, .open = unit_open };

static int f(struct unit *u)
{
	BODY
	return 0;
}

AFTER
"""
ASKS = "if (!u->usable)\n\t\treturn -EIO;"
BAR = "io_remap_pfn_range(vma, vma->vm_start, u->pfn, PAGE_SIZE, vma->vm_page_prot)"
UNMAP = "unmap_mapping_range(u->inode->i_mapping, 0, 0, 1);"
RESET = """
static pci_ers_result_t unit_error(struct pci_dev *pdev, pci_channel_state_t state)
{
	f(pci_get_drvdata(pdev));
	return PCI_ERS_RESULT_NEED_RESET;
}
static const struct pci_error_handlers unit_errors = { .error_detected = unit_error };
"""
OTHERS = "static const struct port_client_ops unit_client = { .reset_notify = f };\n"
REMOVE = "static void unit_remove(struct pci_dev *pdev)\n{\n\tf(pci_get_drvdata(pdev));\n}\n"
REMOVE += "static struct pci_driver unit_driver = { .remove = unit_remove };\n"


def unit(body: str = "u->usable = false;", after: str = RESET, asks: str = ASKS, maps: str = BAR) -> str:
    return TEXT.replace("BODY", body).replace("AFTER", after).replace("ASKS", asks).replace("MAPS", maps)


@pytest.mark.parametrize("after", [RESET, OTHERS])
def test_a_switch_that_a_reset_turns_and_open_asks_for(ask: Ask, after: str) -> None:
    said = ask(RULE, unit(after=after))
    assert said.fires, said.reasons
    assert said.finding.anchor == "struct unit.usable"
    told = "\n".join(step.text for step in said.finding.steps)
    assert "unit_open() tests" in told and "io_remap_pfn_range() in unit_mmap()" in told


def test_a_switch_that_is_set(ask: Ask) -> None:
    assert ask(RULE, unit("u->noisy = true;", asks="if (u->noisy)\n\t\treturn -EIO;")).fires


SILENT = {
    "unmapped": unit(f"u->usable = false;\n\t{UNMAP}"),
    "turned back on": unit("u->usable = true;"),
    "nobody is refused by it": unit(asks=""),
    "another is asked for": unit(asks="if (!u->noisy)\n\t\treturn -EIO;"),
    "who asks goes on": unit(asks="if (!u->usable)\n\t\tprepare(u);"),
    "asked for by nobody who begins": unit(
        asks="", after=RESET + f"static int g(struct unit *u)\n{{\n\t{ASKS}\n\treturn 0;\n}}\n"
    ),
    "no registers": unit(maps="remap_pfn_range(vma, vma->vm_start, u->pfn, PAGE_SIZE, vma->vm_page_prot)"),
    "no reset": unit(after=REMOVE),
    "another's core unmaps": unit("u->usable = false;\n\tib_unregister_device(&u->ibdev);"),
}


@pytest.mark.parametrize("name", SILENT)
def test_silent(ask: Ask, name: str) -> None:
    said = ask(RULE, SILENT[name])
    assert not said.fires, said.finding


# -- called through a table of the driver's own ---------------------------------------------------

GATE = "if (u->state == UNIT_CLOSED)\n\t\treturn -EIO;\n\treturn vmf_insert_pfn(vma, vma->vm_start, u->pfn);\n\t"
OWN = """
static const struct unit_ops unit_ops = { .stop = f };

static long unit_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct unit *u = file->private_data;

	CALL
	return 0;
}

static const struct file_operations unit_ctl = { .unlocked_ioctl = unit_ioctl };
"""


def own(call: str) -> str:
    text = unit("u->state = UNIT_CLOSED;", OWN.replace("CALL", call), "", "0")
    return text.replace("return 0;\n}\n\nstatic int unit_open", f"{GATE}return 0;\n}}\n\nstatic int unit_open", 1)


def test_a_call_through_the_drivers_own_table(ask: Ask) -> None:
    """Who calls is found; for which objects is not, so that it is a doubt where a direct call is a finding."""
    said = ask(RULE, own("u->ops->stop(u);"))
    assert not said.fires
    (doubt,) = said.outcome.doubts
    assert "unit_ioctl() calls it through struct unit_ops" in doubt.reason
    assert ask(RULE, own("f(u);")).fires


def test_who_calls_through_the_table_unmaps(ask: Ask) -> None:
    said = ask(RULE, own(f"u->ops->stop(u);\n\t{UNMAP}"))
    assert not said.fires and not said.outcome.doubts, (said.outcome.defects, said.outcome.doubts)
    assert "every caller unmaps" in said.reasons


@pytest.mark.parametrize("call", ["u->other->stop(u);", "u->ops->start(u);", ""])
def test_nobody_in_sight_is_a_doubt(ask: Ask, call: str) -> None:
    said = ask(RULE, own(call))
    assert not said.fires and said.outcome.doubts
    assert "unit_ioctl" not in said.outcome.doubts[0].reason


@pytest.mark.parametrize(
    ("test", "fires"),
    [
        ("u->state == UNIT_CLOSED", True),
        ("u->state != UNIT_RUNNING", True),
        ("u->state == UNIT_IDLE", False),  # another state is refused
        ("u->state != UNIT_CLOSED", False),  # what is closed goes on
    ],
)
def test_a_state_that_the_handler_lets_pass(ask: Ask, test: str, fires: bool) -> None:
    assert ask(RULE, own("f(u);").replace("u->state == UNIT_CLOSED", test)).fires is fires


# -- pages that are kept as long as a VMA is there --------------------------------------------------

KEPT = """
struct ring { int state; struct page *page; unsigned long pfn; };

static void ring_close(struct vm_area_struct *vma)
{
}

static const struct vm_operations_struct ring_vm_ops = { CLOSE };

static int ring_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct ring *r = file->private_data;

	if (r->state <= RING_DEAD)
		return -ENODEV;
	vma->vm_ops = &ring_vm_ops;
	return remap_pfn_range(vma, vma->vm_start, PFN, PAGE_SIZE, vma->vm_page_prot);
}

static const struct file_operations ring_fops = { .mmap = ring_mmap };

int f(struct ring *r)
{
	r->state = STATE;
	return 0;
}
EXPORT_SYMBOL_GPL(f);
"""


@pytest.mark.parametrize(
    ("close", "pfn", "state", "fires"),
    [
        (".close = ring_close", "page_to_pfn(r->page)", "RING_DEAD", False),
        (".open = ring_open", "page_to_pfn(r->page)", "RING_DEAD", True),  # nobody hears that a VMA goes
        (".close = ring_close", "r->pfn", "RING_DEAD", True),  # a device's, for all that is known
        (".close = ring_close", "page_to_pfn(r->page)", "RING_PURGED", True),  # the memory itself goes
    ],
)
def test_pages_that_a_vma_keeps(ask: Ask, close: str, pfn: str, state: str, fires: bool) -> None:
    said = ask(RULE, KEPT.replace("CLOSE", close).replace(" PFN,", f" {pfn},").replace("= STATE", f"= {state}"))
    assert said.fires is fires, said.reasons
    assert fires or "hear of every VMA" in said.reasons
