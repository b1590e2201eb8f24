"""Who has an acquired thing at a return: what a failed constructor was handed, what an object has not got yet, what a
callee only looks at. Each shape with what gives it back, and without."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Ask = Callable[..., Any]

OBJECT = """
struct obj { struct list_head node; struct sg_table *sgt; struct dma_buf_attachment *attach; int n; };
static struct obj *obj_new(struct device *dev, struct sg_table *sgt)
{
	struct obj *obj = kzalloc(sizeof(*obj), GFP_KERNEL);

	if (!obj)
		return ERR_PTR(-ENOMEM);
	obj->sgt = sgt;
	MORE
	return obj;
}
struct obj *f(struct device *dev, struct dma_buf *buf, struct dma_buf_attachment *attach)
{
	struct sg_table *sgt = dma_buf_map_attachment(attach, DMA_TO_DEVICE);
	struct obj *obj;

	if (IS_ERR(sgt))
		return ERR_CAST(sgt);
	obj = obj_new(dev, sgt);
	if (IS_ERR(obj)) {
		UNDO
		return obj;
	}
	return obj;
}
"""
UNMAP = "dma_buf_unmap_attachment(attach, sgt, DMA_TO_DEVICE);"


@pytest.mark.parametrize("more", ["", "list_add(&obj->node, &dev->objs);"], ids=["returned", "kept with the device"])
def test_a_constructor_that_failed_has_nothing(ask: Ask, more: str) -> None:
    text = OBJECT.replace("MORE", more)
    assert not ask("dmabuf-unwind", text.replace("UNDO", UNMAP)).fires
    said = ask("dmabuf-unwind", text.replace("UNDO", ""))
    assert "the mapping that" in said.finding.message


def test_one_that_gives_it_back_itself_is_believed(ask: Ask) -> None:
    gives = OBJECT.replace(
        "struct device *dev, struct sg_table *sgt)", "struct device *dev, struct sg_table *sgt, void *a)"
    )
    gives = gives.replace("obj_new(dev, sgt)", "obj_new(dev, sgt, attach)").replace("UNDO", "").replace("MORE", "")
    gives = gives.replace("if (!obj)\n\t\treturn", f"if (!obj) {{\n\t\t{UNMAP.replace('attach,', 'a,')}\n\t\treturn")
    assert not ask("dmabuf-unwind", gives.replace("ERR_PTR(-ENOMEM);", "ERR_PTR(-ENOMEM);\n\t}")).fires


STORED = """
struct obj { struct dma_buf_attachment *attach; struct sg_table *sgt; };
struct obj *f(struct device *dev, struct dma_buf *buf)
{
	struct obj *obj = obj_alloc(dev);
	struct dma_buf_attachment *attach;
	int err;

	attach = dma_buf_attach(buf, dev);
	if (IS_ERR(attach)) {
		err = PTR_ERR(attach);
		goto free;
	}
	EARLY
	obj->sgt = dma_buf_map_attachment(attach, DMA_TO_DEVICE);
	if (IS_ERR(obj->sgt)) {
		err = PTR_ERR(obj->sgt);
		goto detach;
	}
	LATE
	return obj;
detach:
	UNDO
free:
	obj_release(obj);
	return ERR_PTR(err);
}
"""


def stored(undo: str, early: str = "", late: str = "") -> str:
    return STORED.replace("UNDO", undo).replace("EARLY", early).replace("LATE", late)


def test_an_object_has_what_was_put_into_it_by_then(ask: Ask) -> None:
    put = "obj->attach = attach;"
    assert ask("dmabuf-unwind", stored("", late=put)).fires  # the object is released, and has not got it yet
    assert not ask("dmabuf-unwind", stored("dma_buf_detach(buf, attach);", late=put)).fires
    assert not ask("dmabuf-unwind", stored("", early=put)).fires  # who releases the object may undo it


OUT = """
int f(struct dma_buf_attachment *attach, struct entry **ents)
{
	struct sg_table *sgt = dma_buf_map_attachment(attach, DMA_TO_DEVICE);

	if (IS_ERR(sgt))
		return PTR_ERR(sgt);
	*ents = kvmalloc_array(sgt->nents, sizeof(struct entry), GFP_KERNEL);
	if (!*ents) {
		UNDO
		return -ENOMEM;
	}
	keep(attach, sgt);
	return 0;
}
"""


@pytest.mark.parametrize(("undo", "fires"), [(UNMAP, False), ("", True)])
def test_memory_as_large_as_a_thing_is_not_the_thing(ask: Ask, undo: str, fires: bool) -> None:
    assert ask("dmabuf-unwind", OUT.replace("UNDO", undo)).fires is fires


LOOK = """
static void fill(struct page *page, void *data, unsigned long at, int n)
{
	void *mem = kmap_local_page(page);

	memcpy(mem + at, data, n);
	kunmap_local(mem);
	MORE
}
int f(struct mm_struct *mm, unsigned long addr, void *data)
{
	struct page *page;
	long rc = pin_user_pages_remote(mm, addr, 1, FOLL_WRITE, &page, NULL);

	if (rc != 1)
		return rc < 0 ? rc : -EFAULT;
	DO
	UNPIN
	rc = 0;
	mmput(mm);
	return rc;
}
"""
BITS = "void *base = kmap_local_page(page);\n\tset_bit(3, base);\n\tkunmap_local(base);"


@pytest.mark.parametrize("do", ["fill(page, data, 0, 8);", BITS], ids=["copied to", "a bit of it set"])
def test_what_is_looked_at_is_still_had(ask: Ask, do: str) -> None:
    text = LOOK.replace("MORE", "").replace("DO", do)
    assert ask("gup-pin-leak", text.replace("UNPIN", "")).fires
    assert not ask("gup-pin-leak", text.replace("UNPIN", "unpin_user_page(page);")).fires


def test_a_callee_that_keeps_it_is_believed(ask: Ask) -> None:
    text = LOOK.replace("MORE", "kept = page;").replace("DO", "fill(page, data, 0, 8);")
    assert not ask("gup-pin-leak", text.replace("UNPIN", "")).fires


CUT = """
int f(struct list *list, unsigned long addr, unsigned int n)
{
	void *room = kzalloc(n * 64, GFP_KERNEL);
	struct page **pages = (struct page **)(room + n);
	int got = pin_user_pages_fast(addr, n, FOLL_WRITE, pages);

	ASK
	list->pinned = 1;
	table(list, pages, n);
	return 0;
}
"""


def test_a_part_of_memory_is_no_piece_of_an_array(ask: Ask) -> None:
    asked = "if (got != n) {\n\t\tif (got > 0)\n\t\t\tunpin_user_pages(pages, got);\n\t\treturn -EFAULT;\n\t}"
    assert ask("gup-partial-pin", CUT.replace("ASK", "")).fires
    assert not ask("gup-partial-pin", CUT.replace("ASK", asked)).fires


ENTRY = """
struct slots { struct mutex lock; struct { u64 at; struct scatterlist mem; } slot[]; };
int f(struct slots *slots, int i, unsigned long at)
{
	struct page *pages[1];
	int ret = pin_user_pages_fast(at, 1, FLAGS, pages);

	if (ret < 0)
		return ret;
	sg_set_page(&slots->slot[i].mem, pages[0], PAGE_SIZE, 0);
	return 0;
}
static int slots_end(struct inode *inode, struct file *file)
{
	struct slots *slots = file->private_data;

	unpin_user_page(sg_page(&slots->slot[0].mem));
	return 0;
}
static const struct file_operations fops = { .release = slots_end };
"""


@pytest.mark.parametrize(("flags", "fires"), [("FOLL_WRITE", True), ("FOLL_WRITE | FOLL_LONGTERM", False)])
def test_a_page_in_an_entry_of_a_scatterlist_is_kept(ask: Ask, flags: str, fires: bool) -> None:
    assert ask("gup-missing-longterm", ENTRY.replace("FLAGS", flags)).fires is fires


MADE = """
static struct page **buf_pin_pages(unsigned long at, int n, int write)
{
	struct page **pages = kvmalloc_array(n, sizeof(*pages), GFP_KERNEL);
	int got;

	if (!pages)
		return ERR_PTR(-ENOMEM);
	got = pin_user_pages_fast(at, n, FLAGS, pages);
	if (got != n) {
		if (got > 0)
			unpin_user_pages(pages, got);
		kvfree(pages);
		return ERR_PTR(-EFAULT);
	}
	return pages;
}
static void buf_unpin_pages(struct page **pages, int n)
{
	unpin_user_pages(pages, n);
	kvfree(pages);
}
int f(struct dev *d, unsigned long at, int n)
{
	struct page **pages = buf_pin_pages(at, n, 1);
	struct buf *buf;

	if (IS_ERR(pages))
		return PTR_ERR(pages);
	buf = kzalloc(sizeof(*buf), GFP_KERNEL);
	if (!buf) {
		UNDO
		kvfree(pages);
		return -ENOMEM;
	}
	buf->pages = pages;
	buf->n = n;
	list_add(&buf->node, &d->bufs);
	return 0;
}
"""


@pytest.mark.parametrize(("undo", "fires"), [("", True), ("unpin_user_pages(pages, n);", False)])
def test_a_helper_that_makes_the_array_pins_for_its_caller(ask: Ask, undo: str, fires: bool) -> None:
    text = MADE.replace("FLAGS", "FOLL_WRITE").replace("UNDO", undo)
    assert ask("gup-pin-leak", text).fires is fires


COMMANDS = """
struct buf { struct list_head node; struct page **pages; int n; };
static void drop(struct dev *d, int id)
{
	struct buf *buf = buf_of(d, id);

	buf_unpin_pages(buf->pages, buf->n);
}
static long run(struct dev *d, unsigned long at)
{
	long ret = f(d, at, 4);

	if (!ret)
		ret = go(d);
	AFTER
	return ret;
}
static long demo_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct dev *d = file->private_data;

	switch (cmd) {
	case DEMO_TAKE:
		return run(d, arg);
	case DEMO_DROP:
		DROP
		return 0;
	}
	return -ENOTTY;
}
static const struct file_operations fops = { .unlocked_ioctl = demo_ioctl };
"""


def commands(flags: str = "FOLL_WRITE", after: str = "", drop: str = "drop(d, arg);") -> str:
    text = MADE.replace("FLAGS", flags).replace("UNDO", "unpin_user_pages(pages, n);")
    return text + COMMANDS.replace("AFTER", after).replace("DROP", drop)


def test_another_command_ends_what_one_began(ask: Ask) -> None:
    finding = ask("gup-missing-longterm", commands()).finding
    assert "kept until drop() releases them" in finding.message
    assert finding.steps[0].line < finding.steps[1].line  # in the helper, and where they are put
    assert not ask("gup-missing-longterm", commands("FOLL_WRITE | FOLL_LONGTERM")).fires
    assert not ask("gup-missing-longterm", commands(after="drop(d, 0);", drop="")).fires  # within one command
    assert not ask("gup-missing-longterm", commands(after="drop(d, 0);")).fires


TABLES = """
static const struct kvm_x86_ops ops = { .mem_reg = f, .FIELD = drop };
"""


@pytest.mark.parametrize(("field", "fires"), [("mem_unreg", True), ("mem_copy", False)])
def test_an_operation_that_undoes_another(ask: Ask, field: str, fires: bool) -> None:
    text = commands().split("static long demo_ioctl")[0].replace("static long run", "long run")
    assert ask("gup-missing-longterm", text + TABLES.replace("FIELD", field)).fires is fires


HAD = """
static struct page **all;
bool f(unsigned long at, bool pin, kvm_pfn_t *pfn)
{
	struct page *page;
	bool had;

	if (pin)
		had = pin_user_pages_fast(at, 1, FOLL_WRITE, &page) == 1;
	else
		had = get_user_page_fast_only(at, FOLL_WRITE, &page);
	if (had) {
		*pfn = resolve(page);
		return true;
	}
	return false;
}
int g(unsigned long at, int n)
{
	struct page **pages = kvcalloc(n, sizeof(*pages), GFP_KERNEL);
	int got, ret = 0;

	STORE
	got = pin_user_pages_fast(at, n, FOLL_WRITE, pages);
	if (got <= 0)
		ret = -EFAULT;
	return ret;
}
"""


def test_a_flag_says_whether_it_was_got(ask: Ask) -> None:
    assert not ask("gup-pin-leak", HAD).fires
    assert ask("gup-pin-leak", HAD.replace("if (had) {", "if (had && at) {")).fires


def test_an_array_that_a_variable_of_the_file_names(ask: Ask) -> None:
    assert ask("gup-pin-leak", HAD.replace("STORE", ""), "g").fires
    assert not ask("gup-pin-leak", HAD.replace("STORE", "all = pages;"), "g").fires


EXPORT = """
int f(struct obj *obj, int flags)
{
	DEFINE_DMA_BUF_EXPORT_INFO(exp_info);
	struct dma_buf *buf;
	int fd;

	buf = dma_buf_export(&exp_info);
	if (IS_ERR(buf))
		return PTR_ERR(buf);
	END
}
"""
FD = "fd = dma_buf_fd(buf, flags);\n\tif (fd < 0)\n\t\tUNDO;\n\treturn fd;"


@pytest.mark.parametrize(
    ("end", "fires"),
    [
        ("return dma_buf_fd(buf, flags);", True),
        (FD.replace("UNDO", "note(obj)"), True),
        (FD.replace("UNDO", "dma_buf_put(buf)"), False),
        ("fd = dma_buf_fd(buf, flags);\n\tif (fd >= 0)\n\t\treturn fd;\n\tdma_buf_put(buf);\n\treturn fd;", False),
        ("obj->buf = buf;\n\treturn 0;", False),
    ],
    ids=["handed on", "failed and left", "failed and put", "put otherwise", "kept"],
)
def test_a_file_descriptor_that_was_not_given_has_no_reference(ask: Ask, end: str, fires: bool) -> None:
    said = ask("dmabuf-unwind", EXPORT.replace("END", end))
    assert said.fires is fires, said.outcome.verdicts
    assert not fires or "dma_buf_export() gave" in said.finding.message


FREED = """
static void mem_forget(struct dev *d, struct mem *mem)
{
	list_del(&mem->node);
	MORE
}
int f(struct dev *d, struct dma_buf *buf, struct mem **mem)
{
	int ret;

	*mem = kzalloc(sizeof(**mem), GFP_KERNEL);
	if (!*mem)
		return -ENOMEM;
	get_dma_buf(buf);
	(*mem)->buf = buf;
	list_add(&(*mem)->node, &d->mems);
	ret = validate(d);
	if (ret)
		goto err;
	return 0;
err:
	mem_forget(d, *mem);
	UNDO
	kfree(*mem);
	return ret;
}
"""


@pytest.mark.parametrize(
    ("more", "undo", "fires"),
    [
        ("", "", True),
        ("", "dma_buf_put(buf);", False),
        ("dma_buf_put(mem->buf);", "", False),
        ("", "mem_release(*mem);", False),
        ("", "d->last = (*mem)->buf;", False),
    ],
    ids=["freed with it", "put before", "put by a callee", "perhaps by one out of sight", "kept elsewhere too"],
)
def test_an_object_that_is_freed_keeps_nothing(ask: Ask, more: str, undo: str, fires: bool) -> None:
    said = ask("dmabuf-unwind", FREED.replace("MORE", more).replace("UNDO", undo))
    assert said.fires is fires, said.outcome.verdicts


PINNED = """
static void keep(struct dev *d, struct page *page)
{
	d->cookie = (unsigned long)page;
}
static void dev_queue_page(struct dev *d, struct page *page)
{
	d->page = page;
}
static struct obj *obj_insert(struct dev *d, struct obj *obj)
{
	struct obj *other = obj_find(d, obj->at);

	if (other)
		return other;
	list_add(&obj->node, &d->objs);
	return NULL;
}
static struct page *swap_in(struct dev *d, struct page *page)
{
	struct page *old = d->page;

	d->page = page;
	return old;
}
int f(struct dev *d, unsigned long at, int n)
{
	struct page *page;
	struct obj *obj;

	if (pin_user_pages_fast(at, 1, FOLL_WRITE, &page) != 1)
		return -EFAULT;
	DO
	return 0;
}
"""
FAILS = "if (hw(d)) {{ {} kfree(obj); return -EIO; }}"
BACK = {
    "copied away": "memcpy(&d->page, &page, sizeof(page));",
    "to a ring of the driver's": "copy_to_ring(d, &page, sizeof(page));",
    "a callee keeps it": "dev_queue_page(d, page);",
    "as a number": "keep(d, page);",
    "NULL says that it went in": (
        "obj = kzalloc(8, GFP_KERNEL); obj->page = page; if (obj_insert(d, obj)) { unpin_user_page(page); return -EEXIST; }"
        " if (hw(d)) return -EIO;"
    ),
    "what was there before is NULL": "if (!swap_in(d, page)) return -ENOENT;",
    "released through a pointer": "obj = obj_of(d); obj->page = page; " + FAILS.format("d->ops->release(obj);"),
    "released out of sight": "obj = obj_of(d); obj->page = page; " + FAILS.format("obj_reset(obj);"),
    "the object is copied": "obj = obj_of(d); obj->page = page; " + FAILS.format("d->obj = *obj;"),
    "by memcpy()": "obj = obj_of(d); obj->page = page; " + FAILS.format("memcpy(&d->obj, obj, sizeof(*obj));"),
}


@pytest.mark.parametrize("do", ["", "obj = obj_of(d); obj->page = page; " + FAILS.format("")], ids=["left", "freed"])
def test_nobody_has_it(ask: Ask, do: str) -> None:
    """What the next test leaves alone, without what makes the difference."""
    assert ask("gup-pin-leak", PINNED.replace("DO", do)).fires


@pytest.mark.parametrize("do", BACK.values(), ids=BACK)
def test_it_may_come_back(ask: Ask, do: str) -> None:
    assert not ask("gup-pin-leak", PINNED.replace("DO", do)).fires


def test_a_helper_that_keeps_the_array_itself_pins_for_nobody(ask: Ask) -> None:
    text = (
        MADE.replace("FLAGS", "FOLL_WRITE")
        .replace("UNDO", "")
        .replace("\treturn pages;\n}", "\tall = pages;\n\treturn pages;\n}")
    )
    assert not ask("gup-pin-leak", "static struct page **all;\n" + text).fires


@pytest.mark.parametrize(
    "ask_it", ["ret = PTR_ERR_OR_ZERO(pages);\n\tif (ret)", "bool bad = IS_ERR(pages);\n\n\tif (bad)"]
)
def test_an_error_is_asked_for_in_other_words(ask: Ask, ask_it: str) -> None:
    text = MADE.replace("FLAGS", "FOLL_WRITE")
    text = text.replace("struct buf *buf;\n\n\tif (IS_ERR(pages))", f"struct buf *buf;\n\tint ret;\n\n\t{ask_it}")
    assert ask_it in text and ask("gup-pin-leak", text.replace("UNDO", "")).fires
    assert not ask("gup-pin-leak", text.replace("UNDO", "unpin_user_pages(pages, n);")).fires


ERRED = """
int f(struct dma_buf *buf, struct device *dev, struct obj *obj)
{
	struct dma_buf_attachment *attach = dma_buf_attach(buf, dev);
	struct sg_table *sgt;
	int ret;

	if (IS_ERR(attach))
		return PTR_ERR(attach);
	sgt = dma_buf_map_attachment_unlocked(attach, DMA_TO_DEVICE);
	ret = PTR_ERR_OR_ZERO(sgt);
	if (ASK)
		goto out;
	obj->sgt = sgt;
	obj->attach = attach;
	return 0;
out:
	UNDO
	return ret;
}
"""


@pytest.mark.parametrize("asked", ["ret", "ret < 0", "ret != 0", "!(ret == 0)"])
def test_a_number_made_of_an_error_is_one(ask: Ask, asked: str) -> None:
    finding = ask("dmabuf-unwind", ERRED.replace("ASK", asked).replace("UNDO", "")).finding
    assert "the attachment that" in finding.message
    assert not ask("dmabuf-unwind", ERRED.replace("ASK", asked).replace("UNDO", "dma_buf_detach(buf, attach);")).fires


TWO = """
int f(unsigned long one, unsigned long other)
{
	struct page *p, *q;
	bool has_p = pin_user_pages_fast(one, 1, FOLL_WRITE, &p) == 1;
	bool has_q = pin_user_pages_fast(other, 1, FOLL_WRITE, &q) == 1;

	if (!has_q) {
		UNDO
		return -EFAULT;
	}
	if (has_p)
		unpin_user_page(p);
	unpin_user_page(q);
	return 0;
}
"""


@pytest.mark.parametrize(("undo", "fires"), [("", True), ("if (has_p)\n\t\t\tunpin_user_page(p);", False)])
def test_each_flag_speaks_of_its_own_call(ask: Ask, undo: str, fires: bool) -> None:
    assert ask("gup-pin-leak", TWO.replace("UNDO", undo)).fires is fires


def test_whoever_lets_go_within_its_command_keeps_nothing_for_another(ask: Ask) -> None:
    own = commands().replace("\tif (!ret)\n\t\tret = go(d);", "\tif (!ret) {\n\t\tret = go(d);\n\t\tdrop(d, 0);\n\t}")
    assert not ask("gup-missing-longterm", own).fires
    through = commands().replace("\tif (!ret)\n\t\tret = go(d);", "\tif (!ret)\n\t\tret = d->finish(d);")
    assert not ask("gup-missing-longterm", through).fires
