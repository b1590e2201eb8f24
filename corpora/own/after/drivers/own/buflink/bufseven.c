// SPDX-License-Identifier: GPL-2.0
/* written against the interface of 7.x: invalidate_mappings instead of move_notify */
#include <linux/dma-buf.h>
#include <linux/dma-resv.h>
#include <linux/kref.h>
#include <linux/module.h>
#include <linux/slab.h>
#include "buflink.h"

struct bs_obj {
	struct dma_buf *dmabuf;
	struct kref users;
	struct completion idle;
	void __iomem *regs;
	bool revoked;
};

struct bs_user {
	struct dma_buf_attachment *attach;
	struct sg_table *sgt;
	struct bs_obj *obj;
};

static int bs_attach(struct dma_buf *dmabuf, struct dma_buf_attachment *attach)
{
	struct bs_obj *obj = dmabuf->priv;

	if (obj->revoked)
		return -ENODEV;
	return 0;
}

static int bs_attach_right(struct dma_buf *dmabuf, struct dma_buf_attachment *attach)
{
	struct bs_obj *obj = dmabuf->priv;

	if (obj->revoked)
		return -ENODEV;
	if (!dma_buf_attach_revocable(attach))
		return -EOPNOTSUPP;
	return 0;
}

static const struct dma_buf_ops bs_ops = { .attach = bs_attach };
static const struct dma_buf_ops bs_right_ops = { .attach = bs_attach_right };

struct dma_buf *bs_export(struct bs_obj *obj, bool strict)
{
	DEFINE_DMA_BUF_EXPORT_INFO(info);

	info.ops = strict ? &bs_right_ops : &bs_ops;
	info.size = PAGE_SIZE;
	info.priv = obj;
	return dma_buf_export(&info);
}

static void bs_shutdown(struct bs_obj *obj)
{
	dma_resv_lock(obj->dmabuf->resv, NULL);
	obj->revoked = true;
	dma_buf_invalidate_mappings(obj->dmabuf);
	dma_resv_unlock(obj->dmabuf->resv);
	iounmap(obj->regs);
	obj->regs = NULL;
}

static void bs_shutdown_right(struct bs_obj *obj)
{
	dma_resv_lock(obj->dmabuf->resv, NULL);
	obj->revoked = true;
	dma_buf_invalidate_mappings(obj->dmabuf);
	dma_resv_wait_timeout(obj->dmabuf->resv, DMA_RESV_USAGE_BOOKKEEP, false, MAX_SCHEDULE_TIMEOUT);
	dma_resv_unlock(obj->dmabuf->resv);
	wait_for_completion(&obj->idle);
	iounmap(obj->regs);
	obj->regs = NULL;
}

static void bs_suspend(struct bs_obj *obj)
{
	obj->revoked = true;
	dma_buf_invalidate_mappings(obj->dmabuf);
}

static void bs_invalidate_locking(struct dma_buf_attachment *attach)
{
	struct bs_user *user = attach->importer_priv;

	dma_resv_lock(attach->dmabuf->resv, NULL);
	dma_buf_unmap_attachment(attach, user->sgt, DMA_BIDIRECTIONAL);
	user->sgt = NULL;
	dma_resv_unlock(attach->dmabuf->resv);
}

static void bs_invalidate(struct dma_buf_attachment *attach)
{
	struct bs_user *user = attach->importer_priv;

	dma_buf_unmap_attachment(attach, user->sgt, DMA_BIDIRECTIONAL);
	user->sgt = NULL;
}

static const struct dma_buf_attach_ops bs_locking_ops = {
	.allow_peer2peer = true,
	.invalidate_mappings = bs_invalidate_locking,
};

static const struct dma_buf_attach_ops bs_attach_ops = {
	.allow_peer2peer = true,
	.invalidate_mappings = bs_invalidate,
};

int bs_user_attach_locking(struct bs_user *user, struct dma_buf *dmabuf, struct device *dev)
{
	user->attach = dma_buf_dynamic_attach(dmabuf, dev, &bs_locking_ops, user);
	return PTR_ERR_OR_ZERO(user->attach);
}

int bs_user_attach(struct bs_user *user, struct dma_buf *dmabuf, struct device *dev)
{
	user->attach = dma_buf_dynamic_attach(dmabuf, dev, &bs_attach_ops, user);
	return PTR_ERR_OR_ZERO(user->attach);
}

static bool bs_is_io(struct mm_struct *mm, unsigned long addr)
{
	struct vm_area_struct *vma;

	scoped_guard(mmap_read_lock, mm) {
		vma = vma_lookup(mm, addr);
		if (!vma)
			return false;
	}
	return vma->vm_flags & VM_IO;
}

static bool bs_is_io_right(struct mm_struct *mm, unsigned long addr)
{
	struct vm_area_struct *vma;

	guard(mmap_read_lock)(mm);
	vma = vma_lookup(mm, addr);
	return vma && (vma->vm_flags & VM_IO);
}

bool bs_probe(struct mm_struct *mm, unsigned long addr)
{
	return bs_is_io(mm, addr) || bs_is_io_right(mm, addr);
}

static int bs_runtime_suspend(struct device *dev)
{
	bs_suspend(dev_get_drvdata(dev));
	return 0;
}

static const struct dev_pm_ops bs_pm_ops = {
	.runtime_suspend = bs_runtime_suspend,
};
