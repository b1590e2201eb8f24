"""revoke-without-unmap where a driver lets go of what it has registered and then gives back what is mapped."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

RULE = "revoke-without-unmap"
Ask = Callable[..., Any]

CARD = """
struct card { struct device *dev; struct miscdevice misc; struct inode *inode; void *ring; dma_addr_t ring_dma;
	      void *log; dma_addr_t log_dma; int users; struct completion idle; };

static int card_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct card *c = file->private_data;

	OPS
	return INSERT(c->dev, vma, c->ring, c->ring_dma, RING_SIZE);
}

static int card_release(struct inode *inode, struct file *file)
{
	struct card *c = file->private_data;

	if (!--c->users)
		complete(&c->idle);
	return 0;
}

static void card_vm_close(struct vm_area_struct *vma)
{
}

static const struct vm_operations_struct card_vm_ops = { .close = card_vm_close };
static const struct file_operations card_fops = { .mmap = card_mmap, .release = card_release };

static void f(struct platform_device *pdev)
{
	struct card *c = platform_get_drvdata(pdev);

	BODY
}

HOOK
"""
LETS_GO = "misc_deregister(&c->misc);"
GIVES = "dma_free_coherent(c->dev, RING_SIZE, c->ring, c->ring_dma);"
REMOVE = "static struct platform_driver card_driver = { .remove = f };"


def card(body: str, hook: str = REMOVE, insert: str = "dma_mmap_coherent", ops: str = "") -> str:
    return CARD.replace("BODY", body).replace("HOOK", hook).replace("INSERT", insert).replace("OPS", ops)


def test_memory_of_a_card_whose_files_stay_open(ask: Ask) -> None:
    said = ask(RULE, card(f"{LETS_GO}\n\t{GIVES}"))
    assert said.fires, said.reasons
    assert said.finding.anchor == "misc_deregister() of struct card"
    told = "\n".join(step.text for step in said.finding.steps)
    assert "misc_deregister() and then dma_free_coherent() in f()" in told
    assert "dma_mmap_coherent() in card_mmap()" in told
    assert "entered by .remove = f" in told


@pytest.mark.parametrize("api", ["cdev_del", "cdev_device_del", "video_unregister_device"])
def test_other_ways_to_let_go(ask: Ask, api: str) -> None:
    assert ask(RULE, card(f"{api}(&c->misc);\n\t{GIVES}")).fires


SILENT = {
    "unmapped": card(f"{LETS_GO}\n\tunmap_mapping_range(c->inode->i_mapping, 0, 0, 1);\n\t{GIVES}"),
    "it waits for the last file": card(f"{LETS_GO}\n\twait_for_completion(&c->idle);\n\t{GIVES}"),
    "not what is mapped": card(f"{LETS_GO}\n\tdma_free_coherent(c->dev, LOG_SIZE, c->log, c->log_dma);"),
    "nothing given back": card(LETS_GO),
    "a module that no file keeps": card(f"{LETS_GO}\n\t{GIVES}", hook="module_exit(f);"),
    "given back when it was registered in vain": card(
        f"int ret = start(c);\n\n\tif (ret)\n\t\tgoto err;\n\treturn 0;\nerr:\n\t{LETS_GO}\n\t{GIVES}\n\treturn ret;",
        hook="static struct platform_driver card_driver = { .probe = f };",
    ),
    "its VMAs are counted": card(f"{LETS_GO}\n\t{GIVES}", ops="vma->vm_ops = &card_vm_ops;"),
    "pages of their own": card(f"{LETS_GO}\n\t{GIVES}", insert="vm_map_pages"),
}


@pytest.mark.parametrize("name", SILENT)
def test_silent(ask: Ask, name: str) -> None:
    said = ask(RULE, SILENT[name])
    assert not said.fires, said.finding


BOARD = CARD.replace("BODY", "misc_deregister(&c->misc);\n\tGIVES").replace("HOOK", REMOVE).replace("OPS", "")


def board(gives: str, maps: str, body: str = "") -> str:
    """The same with registers of the device: `maps` is how they get into a VMA."""
    return BOARD.replace("GIVES", body + gives).replace("INSERT(c->dev, vma, c->ring, c->ring_dma, RING_SIZE)", maps)


BAR = "io_remap_pfn_range(vma, vma->vm_start, pci_resource_start(c->dev, 0) >> PAGE_SHIFT, SIZE, vma->vm_page_prot)"
RAM = "remap_pfn_range(vma, vma->vm_start, page_to_pfn(c->page), SIZE, vma->vm_page_prot)"
ZAP = "unmap_mapping_range(c->inode->i_mapping, 0, 0, 1);\n\t"


@pytest.mark.parametrize(
    ("gives", "maps", "body", "fires"),
    [
        ("pci_disable_device(pdev);", BAR, "", True),
        ("pci_release_regions(pdev);", BAR, "", True),
        ("pci_disable_device(pdev);", BAR, ZAP, False),
        ("pci_disable_device(pdev);", RAM, "", False),  # memory of its own does not go with the device
        ("iounmap(c->regs);", BAR, "", False),  # which registers those are is not known
    ],
)
def test_registers_of_a_card_whose_files_stay_open(ask: Ask, gives: str, maps: str, body: str, fires: bool) -> None:
    said = ask(RULE, board(gives, maps, body))
    assert said.fires is fires, said.reasons
    assert not fires or said.finding.anchor == "misc_deregister() of struct card"


# -- a core that maps what it was told ------------------------------------------------------------

HEADER = """
struct uio_mem { phys_addr_t addr; resource_size_t size; int memtype; void __iomem *internal_addr; };
struct uio_info { struct uio_device *uio_dev; struct uio_mem mem[5]; void *priv; };
struct uio_device { struct uio_info *info; struct mutex info_lock; struct inode *inode; };
void uio_unregister_device(struct uio_info *info);
"""
CORE = """
#include <linux/uio_driver.h>

static int uio_mmap(struct file *filep, struct vm_area_struct *vma)
{
	struct uio_device *idev = filep->private_data;
	struct uio_mem *mem = idev->info->mem + vma->vm_pgoff;

	if (mem->memtype != UIO_MEM_PHYS)
		return uio_mmap_logical(vma);
	return remap_pfn_range(vma, vma->vm_start, mem->addr >> PAGE_SHIFT, mem->size, vma->vm_page_prot);
}

static const struct file_operations uio_fops = { .mmap = uio_mmap };

void uio_unregister_device(struct uio_info *info)
{
	struct uio_device *idev = info->uio_dev;

	UNMAP
	device_unregister(&idev->dev);
}
EXPORT_SYMBOL_GPL(uio_unregister_device);
"""
DRIVER = """
#include <linux/uio_driver.h>

struct gadget { struct uio_info info; void *ram; dma_addr_t ram_dma; void __iomem *regs; };

static int gadget_probe(struct pci_dev *dev, const struct pci_device_id *id)
{
	struct gadget *g = devm_kzalloc(&dev->dev, sizeof(*g), GFP_KERNEL);

	g->info.mem[0].addr = g->ram_dma;
	g->info.mem[0].memtype = UIO_MEM_PHYS;
	return uio_register_device(&dev->dev, &g->info);
}

static void f(struct pci_dev *dev)
{
	struct gadget *g = pci_get_drvdata(dev);

	uio_unregister_device(&g->info);
	GIVES
}

static struct pci_driver gadget_driver = { .probe = gadget_probe, .remove = f };
"""


def gadget(gives: str, unmap: str = "idev->gone = 1;", driver: str = DRIVER) -> Mapping[str, str]:
    return {
        "include/linux/uio_driver.h": HEADER,
        "drivers/uio/uio.c": CORE.replace("UNMAP", unmap),
        "drivers/demo/a.c": driver.replace("GIVES", gives),
    }


@pytest.mark.parametrize(
    "gives",
    [
        "pci_disable_device(dev);",
        "pci_release_regions(dev);",
        "iounmap(g->info.mem[0].internal_addr);",
        "dma_free_coherent(&dev->dev, RAM_SIZE, g->ram, g->ram_dma);",  # by what the core was told to map
    ],
)
def test_the_core_goes_on_mapping(ask: Ask, gives: str) -> None:
    said = ask(RULE, gadget(gives))
    assert said.fires, said.reasons
    assert said.finding.anchor == "uio_unregister_device() of struct uio_info"
    told = "\n".join(f"{step.path} {step.text}" for step in said.finding.steps)
    assert "drivers/uio/uio.c .mmap = uio_mmap of file_operations uio_fops" in told
    assert "drivers/uio/uio.c remap_pfn_range() in uio_mmap()" in told


CORE_SILENT = {
    "nothing given back": gadget(""),
    "another range": gadget("iounmap(g->regs);"),
    "other memory": gadget("dma_free_coherent(&dev->dev, LOG_SIZE, g->log, g->log_dma);"),
    "the core unmaps": gadget("pci_disable_device(dev);", "unmap_mapping_range(idev->inode->i_mapping, 0, 0, 1);"),
    "the driver unmaps": gadget(
        "unmap_mapping_range(g->info.uio_dev->inode->i_mapping, 0, 0, 1);\n\tpci_disable_device(dev);"
    ),
    "pages with references": gadget(
        "pci_disable_device(dev);", driver=DRIVER.replace("UIO_MEM_PHYS", "UIO_MEM_LOGICAL")
    ),
}


@pytest.mark.parametrize("name", CORE_SILENT)
def test_silent_of_a_core(ask: Ask, name: str) -> None:
    said = ask(RULE, CORE_SILENT[name])
    assert not said.fires, said.finding


SCREEN = """
struct fb_fix_screeninfo { unsigned long smem_start; __u32 smem_len; };
struct fb_info { struct fb_fix_screeninfo fix; char *screen_base; };
"""
SCREENS = """
#include <linux/fb.h>

static int fb_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct fb_info *info = file_fb_info(file);

	return vm_iomap_memory(vma, info->fix.smem_start, info->fix.smem_len);
}

static const struct file_operations fb_fops = { .mmap = fb_mmap };

void unregister_framebuffer(struct fb_info *fb_info)
{
	put_fb_info(fb_info);
}
EXPORT_SYMBOL(unregister_framebuffer);
"""
PANEL = """
#include <linux/fb.h>

struct panel { struct fb_info *info; void *lut; dma_addr_t lut_dma; dma_addr_t dma; };

static int panel_probe(struct platform_device *dev)
{
	struct panel *p = platform_get_drvdata(dev);

	p->info->fix.smem_start = p->dma;
	EXTRA
	return register_framebuffer(p->info);
}

static void f(struct platform_device *dev)
{
	struct panel *p = platform_get_drvdata(dev);

	unregister_framebuffer(p->info);
	GIVES
}

static struct platform_driver panel_driver = { .probe = panel_probe, .remove = f };
"""


@pytest.mark.parametrize(
    ("gives", "extra", "fires"),
    [
        ("dma_free_coherent(&dev->dev, SIZE, p->info->screen_base, p->dma);", "", True),
        ("dma_free_wc(&dev->dev, SIZE, p->info->screen_base, p->info->fix.smem_start);", "", True),
        ("dma_free_coherent(&dev->dev, SIZE, p->lut, p->lut_dma);", "", False),  # the screen stays
        ("iounmap(p->info->screen_base);", "", False),  # the device is still there
        ("pci_disable_device(p->pdev);", "", False),
        ("dma_free_coherent(&dev->dev, SIZE, p->info->screen_base, p->dma);", "fb_deferred_io_init(p->info);", False),
        ("dma_free_coherent(&dev->dev, SIZE, p->info->screen_base, p->dma);", "ops.fb_mmap = panel_mmap;", False),
    ],
)
def test_a_core_that_knows_no_kinds_of_memory(ask: Ask, gives: str, extra: str, fires: bool) -> None:
    files = {
        "include/linux/fb.h": SCREEN,
        "drivers/video/fbmem.c": SCREENS,
        "drivers/demo/a.c": PANEL.replace("GIVES", gives).replace("EXTRA", extra),
    }
    said = ask(RULE, files)
    assert said.fires is fires, said.reasons
