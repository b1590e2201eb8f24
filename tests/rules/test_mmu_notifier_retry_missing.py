"""mmu-notifier-retry-missing: what it must see, what it must leave alone and why; our own C and kernel trees."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lorelint.rule.door import Rule

RULE = "mmu-notifier-retry-missing"
Ask = Callable[..., Any]

HEAD = """
struct mirror { struct mmu_interval_notifier notifier; struct mutex lock; unsigned long seq; };
"""
BEGIN = "\tseq = mmu_interval_read_begin(&m->notifier);\n"
GET = "\tret = pin_user_pages_fast(addr, 1, 0, pages);\n\tif (ret < 0)\n\t\treturn ret;\n"
LOCK, UNLOCK = "\tmutex_lock(&m->lock);\n", "\tmutex_unlock(&m->lock);\n"
ASK = "\tif (mmu_interval_read_retry(&m->notifier, seq))\n\t\tgoto again;\n"
ASK_LOCKED = "\tif (mmu_interval_read_retry(&m->notifier, seq)) {\n\t\tmutex_unlock(&m->lock);\n\t\tgoto again;\n\t}\n"
INSTALL = "\tmirror_map_pages(m, pages);\n"


def fault(
    *parts: str, before: str = "", params: str = "struct mirror *m, unsigned long addr, struct page **pages"
) -> str:
    return f"{HEAD}{before}\nint f({params})\n{{\n\tunsigned long seq;\n\tint ret;\n\n{''.join(parts)}\treturn 0;\n}}\n"


AGAIN = "again:\n"
SEEN = {
    "before the lock": fault(AGAIN, BEGIN, GET, ASK, LOCK, INSTALL, UNLOCK),
    "no lock at all": fault(AGAIN, BEGIN, GET, ASK, INSTALL),
    "after the lock": fault(AGAIN, BEGIN, GET, LOCK, INSTALL, UNLOCK, ASK),
    "mmap_lock is not the lock": fault(
        AGAIN, BEGIN, GET, "\tmmap_read_lock(m->mm);\n", ASK, "\tmmap_read_unlock(m->mm);\n", INSTALL
    ),
    "not read anew": fault(BEGIN, AGAIN, GET, LOCK, ASK_LOCKED, INSTALL, UNLOCK),
    "answer ignored": fault(BEGIN, GET, LOCK, "\tmmu_interval_read_retry(&m->notifier, seq);\n", INSTALL, UNLOCK),
    "a lock held over the look-up": fault(AGAIN, "\tlockdep_assert_held(&m->lock);\n", BEGIN, GET, ASK, INSTALL),
    "SRCU is no lock": fault(AGAIN, BEGIN, GET, "\tsrcu_read_lock(&m->srcu);\n", ASK, INSTALL),
    "a hint alone": fault(
        AGAIN,
        BEGIN,
        GET,
        "\tif (mmu_interval_check_retry(&m->notifier, seq))\n\t\tgoto again;\n",
        ASK,
        LOCK,
        INSTALL,
        UNLOCK,
    ),
    "never compared, and a lock taken": fault(BEGIN, GET, LOCK, "\tm->page = pages[0];\n", UNLOCK),
    "asked, and the lock given back": fault(AGAIN, BEGIN, GET, LOCK, ASK_LOCKED, UNLOCK, INSTALL),
    "a helper gets the pages": fault(
        AGAIN,
        BEGIN,
        "\tret = get(addr, pages);\n",
        ASK,
        LOCK,
        INSTALL,
        UNLOCK,
        before="static int get(unsigned long addr, struct page **pages)\n{\n\treturn pin_user_pages(addr, 1, 0, pages);\n}\n",
    ),
}


@pytest.mark.parametrize("name", SEEN)
def test_seen(ask: Ask, name: str) -> None:
    said = ask(RULE, SEEN[name])
    assert said.fires, said.reasons
    assert said.finding.anchor == "mmu notifier sequence" and len(said.finding.steps) >= 2


SILENT = {
    "under the lock": (fault(AGAIN, BEGIN, GET, LOCK, ASK_LOCKED, INSTALL, UNLOCK), "checked under a lock"),
    "before and under the lock": (
        fault(AGAIN, BEGIN, GET, ASK, LOCK, ASK_LOCKED, INSTALL, UNLOCK),
        "checked under a lock",
    ),
    "a spinlock": (
        fault(
            AGAIN,
            BEGIN,
            GET,
            "\tspin_lock(&m->spin);\n",
            ASK_LOCKED.replace("mutex", "spin").replace("lock);", "spin);"),
            INSTALL,
        ),
        "checked under a lock",
    ),
    "a lock by another name": (
        fault(
            AGAIN,
            BEGIN,
            GET,
            "\tret = mirror_object_lock_interruptible(m);\n",
            ASK,
            INSTALL,
            "\tmirror_object_unlock(m);\n",
        ),
        "checked under a lock",
    ),
    "kept for the callers": (
        fault("\tm->seq = mmu_interval_read_begin(&m->notifier);\n", GET, "\treturn ret;\n"),
        "whoever installs checks it there",
    ),
    "handed on": (fault(BEGIN, GET, "\treturn mirror_commit(m, pages, seq);\n"), "handed on"),
    "nothing installed": (fault(BEGIN, GET, "\treturn look_at(pages[0], ret);\n"), "nothing is seen to be installed"),
    "no pages": (fault(BEGIN, "\tret = seq & 1;\n"), "no pages are got"),
    "a callee checks under its lock": (
        fault(
            BEGIN,
            GET,
            "\treturn commit(m, pages, seq);\n",
            before="static int commit(struct mirror *m, struct page **pages, unsigned long seq)\n{\n\tmutex_lock(&m->lock);\n"
            "\tif (!mmu_interval_read_retry(&m->notifier, seq))\n\t\tmirror_map_pages(m, pages);\n"
            "\tmutex_unlock(&m->lock);\n\treturn 0;\n}\n",
        ),
        "checked under a lock",
    ),
    "asked early and again": (
        fault(
            AGAIN,
            BEGIN,
            GET,
            LOCK,
            ASK_LOCKED,
            UNLOCK,
            "\tdma_map_page(m->dev, pages[0], 0, PAGE_SIZE, 0);\n",
            LOCK,
            ASK_LOCKED,
            INSTALL,
            UNLOCK,
        ),
        "checked under a lock",
    ),
    "installed, then asked": (
        fault(
            AGAIN,
            BEGIN,
            GET,
            LOCK,
            INSTALL,
            "\tret = mmu_interval_read_retry(&m->notifier, seq);\n",
            UNLOCK,
            "\tif (ret) {\n\t\tmirror_zap(m);\n\t\tgoto again;\n\t}\n",
        ),
        "checked under a lock",
    ),
    "asked for the caller": (
        fault(
            BEGIN,
            GET,
            LOCK,
            "\tret = mmu_interval_read_retry(&m->notifier, seq) ? -EAGAIN : 0;\n",
            UNLOCK,
            "\tmmput(m->mm);\n\tif (ret)\n\t\treturn ret;\n",
        ),
        "checked under a lock",
    ),
    "a page's own lock": (fault(BEGIN, GET, "\tset_page_dirty_lock(pages[0]);\n"), "nothing is seen to be installed"),
    "RCU": (
        fault(BEGIN, GET, "\trcu_read_lock();\n\tm->n++;\n\trcu_read_unlock();\n"),
        "nothing is seen to be installed",
    ),
    "its caller has read it": (
        fault("\tseq = m->seq;\n", "\tret = mmu_interval_read_retry(&m->notifier, seq);\n"),
        "its caller has read",
    ),
}


@pytest.mark.parametrize("name", SILENT)
def test_silent_and_says_why(ask: Ask, name: str) -> None:
    text, reason = SILENT[name]
    said = ask(RULE, text)
    assert not said.fires, said.finding
    assert reason in said.reasons


GUEST = """
int f(struct kvm_vcpu *vcpu, u64 *table, gfn_t gfn)
{{
	unsigned long mmu_seq;
	kvm_pfn_t pfn;

{before}	pfn = gfn_to_pfn(vcpu->kvm, gfn);
	if (is_error_noslot_pfn(pfn))
		return -EFAULT;
{body}
	kvm_release_pfn_clean(pfn);
	return 0;
}}
"""
INSTALLS = {
    "a store": "\ttable[0] = pfn << PAGE_SHIFT;",
    "through a pointer": "\t*table = (pfn << PAGE_SHIFT) | 1;",
    "a callee": "\tguest_map_page(vcpu, pfn);",
}
PATH = "arch/demo/kvm/mmu.c"


@pytest.mark.parametrize("name", INSTALLS)
def test_a_guest_mapping_without_a_sequence(ask: Ask, rules: dict[str, Rule], desk: Any, name: str) -> None:
    text = GUEST.format(before="", body=INSTALLS[name])
    found = desk.judge(desk.program({PATH: text}), rules[RULE], "f", PATH)
    assert found.fires and found.finding.confidence < 0.7
    sibling = text.replace(
        "\tpfn = gfn_to_pfn", "\tmmu_seq = vcpu->kvm->mmu_invalidate_seq;\n\tsmp_rmb();\n\tpfn = gfn_to_pfn"
    )
    lock = "\twrite_lock(&vcpu->kvm->mmu_lock);\n\tif (mmu_invalidate_retry(vcpu->kvm, mmu_seq))\n\t\tgoto out;\n"
    sibling = sibling.replace(INSTALLS[name], lock + INSTALLS[name] + "\nout:\n\twrite_unlock(&vcpu->kvm->mmu_lock);")
    other = "arch/demo/kvm/mmu64.c"
    right = desk.judge(desk.program({other: sibling}), rules[RULE], "f", other)
    assert not right.fires and "checked under a lock" in right.reasons
    both = desk.judge(desk.program({PATH: text, other: sibling}), rules[RULE], "f", PATH).finding
    assert both.confidence > found.finding.confidence and both.siblings[0].path == other


def test_a_guest_page_that_is_only_used(ask: Ask, rules: dict[str, Rule], desk: Any) -> None:
    text = GUEST.format(before="", body="\tcopy_page_out(pfn_to_page(pfn));")
    said = desk.judge(desk.program({PATH: text}), rules[RULE], "f", PATH)
    assert not said.fires and "not seen to be installed" in said.reasons


# -- kernel trees -----------------------------------------------------------------------------

KERNEL = {  # function: path, the lock of the check
    "nouveau_atomic_range_fault": ("drivers/gpu/drm/nouveau/nouveau_svm.c", "mutex_lock(&svmm->mutex);"),
    "ib_umem_odp_map_dma_and_lock": ("drivers/infiniband/core/umem_odp.c", "mutex_lock(&umem_odp->umem_mutex);"),
    "kvm_mips_map_page": ("arch/mips/kvm/mmu.c", "spin_lock(&kvm->mmu_lock);"),
    "hva_to_pfn_retry": ("virt/kvm/pfncache.c", "write_lock_irq(&gpc->lock);"),
}


@pytest.mark.needs_tree("6.12")
@pytest.mark.parametrize("name", KERNEL)
def test_taking_the_lock_out_makes_it_speak(
    rules: dict[str, Rule], tree_dir: Callable[[str], Path], desk: Any, name: str
) -> None:
    path, lock = KERNEL[name]
    text = (tree_dir("6.12") / path).read_text(encoding="latin-1")
    program = desk.program({path: text})
    said = desk.judge(program, rules[RULE], name, path)
    assert "checked under a lock" in said.reasons and not said.fires
    body = program.function(path, name).text.decode("latin-1")
    assert lock in body
    later = desk.program({path: text.replace(body, body.replace(lock, ";"))})
    found = desk.judge(later, rules[RULE], name, path)
    assert found.fires, found.reasons


KEPT = """
struct mirror {{ struct mmu_interval_notifier notifier; struct mutex lock; }};
static bool mirror_gone(struct mmu_interval_notifier *n, const struct mmu_notifier_range *r, unsigned long seq)
{{
	struct mirror *m = container_of(n, struct mirror, notifier);

	mutex_lock(&m->lock);
	mmu_interval_set_seq(n, seq);
	mutex_unlock(&m->lock);
	return true;
}}
static const struct mmu_interval_notifier_ops mirror_ops = {{ .invalidate = mirror_gone }};
static void mirror_fill(struct mirror *m, struct hmm_range *range)
{{
	m->pte = range->hmm_pfns[0];{inside}
}}
int f(struct mirror *m, struct hmm_range *range)
{{
	int ret;

	range->notifier_seq = mmu_interval_read_begin(range->notifier);
	ret = hmm_range_fault(range);
	if (ret)
		return ret;
	{lock}(&m->lock);
	{ask}
	mirror_fill(m, range);
	mutex_unlock(&m->lock);
	return 0;
}}
"""
RETRY = "if (mmu_interval_read_retry(range->notifier, range->notifier_seq)) {\n\t\tret = -EAGAIN;\n\t}"


def test_a_sequence_that_is_kept_is_still_compared_where_its_pages_are_used(ask: Ask) -> None:
    finding = ask(RULE, KEPT.format(lock="mutex_lock", ask="", inside="")).finding
    assert "mirror_fill() uses them" in finding.steps[-1].text and finding.confidence == 0.7
    assert not ask(RULE, KEPT.format(lock="mutex_lock", ask=RETRY, inside="")).fires
    assert not ask(RULE, KEPT.format(lock="mutex_lock", ask="", inside="\n\tm->seq = range->notifier_seq;")).fires
    assert not ask(RULE, KEPT.format(lock="note", ask="", inside="")).fires  # under no lock of the invalidation
    assert not ask(RULE, KEPT.format(lock="mutex_lock", ask="m->range = range;", inside="")).fires  # compared later
    assert not ask(RULE, KEPT.format(lock="mutex_lock", ask="", inside="\n\tif (STALE(range))\n\t\treturn;")).fires
    other = KEPT.replace("m->pte = range->hmm_pfns[0];", "m->pte = 0;").replace("mirror_fill", "mirror_free")
    assert not ask(RULE, other.format(lock="mutex_lock", ask="", inside="")).fires  # nothing is made of the pages


HANDED = """
int f(struct kvm *kvm, pte_t pte, unsigned long gpa, unsigned long mmu_seq)
{
	int ret = -EAGAIN;

	spin_lock(&kvm->mmu_lock);
	ASK
	kvm_set_pte_at(kvm, gpa, pte);
	ret = 0;
out:
	spin_unlock(&kvm->mmu_lock);
	return ret;
}
"""


def test_a_sequence_that_is_handed_in_is_compared(ask: Ask) -> None:
    finding = ask(RULE, HANDED.replace("ASK", "")).finding
    assert "mmu_seq is handed in and never compared" in finding.message
    asked = "if (mmu_invalidate_retry(kvm, mmu_seq))\n\t\tgoto out;"
    assert not ask(RULE, HANDED.replace("ASK", asked)).fires
    assert not ask(RULE, HANDED.replace("ASK", "").replace("kvm_set_pte_at", "kvm_count")).fires  # installs nothing
    assert not ask(RULE, HANDED.replace("ASK", "").replace("mmu_lock", "stat_lock")).fires
    assert not ask(RULE, HANDED.replace("ASK", "if (STALE(kvm))\n\t\tgoto out;")).fires
