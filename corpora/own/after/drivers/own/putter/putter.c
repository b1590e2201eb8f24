// SPDX-License-Identifier: GPL-2.0
#include <linux/dma-mapping.h>
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

struct pt_ring {
	struct page **ring_pages;
	struct page *head;
	struct page **meta;
	struct page **any;
	unsigned int nr;
	unsigned int nr_meta;
	bool pinned;
};

static int pt_ring_pin(struct pt_ring *ring, unsigned long addr)
{
	int got = pin_user_pages_fast(addr, ring->nr, FOLL_WRITE | FOLL_LONGTERM, ring->ring_pages);

	if (got == ring->nr)
		return 0;
	if (got > 0)
		unpin_user_pages(ring->ring_pages, got);
	return got < 0 ? got : -EFAULT;
}

static void pt_ring_unpin(struct pt_ring *ring)
{
	unsigned int i;

	for (i = 0; i < ring->nr; i++) {
		set_page_dirty_lock(ring->ring_pages[i]);
		put_page(ring->ring_pages[i]);
	}
}

static int pt_read_head(unsigned long addr, u32 *value)
{
	struct page *page;
	void *va;

	if (get_user_pages_fast(addr, 1, 0, &page) < 1)
		return -EFAULT;
	va = kmap_local_page(page);
	*value = *(u32 *)(va + offset_in_page(addr));
	kunmap_local(va);
	unpin_user_page(page);
	return 0;
}

static int pt_drop_head(struct pt_ring *ring, unsigned long addr)
{
	int ret = get_user_pages_fast(addr, 1, FOLL_WRITE, &ring->head);

	if (ret != 1)
		return ret < 0 ? ret : -EFAULT;
	if (!PageAnon(ring->head)) {
		__free_page(ring->head);
		ring->head = NULL;
		return -EINVAL;
	}
	return 0;
}

static int pt_read_head_right(unsigned long addr, u32 *value)
{
	struct page *page;

	if (get_user_pages_fast(addr, 1, 0, &page) != 1)
		return -EFAULT;
	memcpy_from_page((char *)value, page, offset_in_page(addr), sizeof(*value));
	put_page(page);
	return 0;
}

static int pt_meta_get(struct pt_ring *ring, unsigned long addr)
{
	int got = get_user_pages_fast(addr, ring->nr_meta, FOLL_WRITE, ring->meta);

	if (got < 0)
		return got;
	ring->nr_meta = got;
	return 0;
}

static void pt_meta_put(struct pt_ring *ring)
{
	release_pages(ring->meta, ring->nr_meta);
	ring->nr_meta = 0;
}

static long pt_any_get(struct pt_ring *ring, unsigned long addr)
{
	if (ring->pinned)
		return pin_user_pages_fast(addr, ring->nr, FOLL_WRITE, ring->any);
	return get_user_pages_fast(addr, ring->nr, FOLL_WRITE, ring->any);
}

static void pt_any_put(struct pt_ring *ring)
{
	unsigned int i;

	if (ring->pinned) {
		unpin_user_pages_dirty_lock(ring->any, ring->nr, true);
		return;
	}
	for (i = 0; i < ring->nr; i++) {
		set_page_dirty_lock(ring->any[i]);
		put_page(ring->any[i]);
	}
}

struct pt_region {
	struct list_head node;
	struct page **pages;
	unsigned long npages;
	dma_addr_t *dma;
};

struct pt_ctx {
	struct device *dev;
	struct mutex lock;
	struct list_head regions;
	struct page **ubuf;
	unsigned int nubuf;
	struct pt_ring ring;
};

struct pt_arg {
	__u64 addr;
	__u64 npages;
};

static int pt_region_add(struct pt_ctx *ctx, struct pt_arg *arg)
{
	struct pt_region *rg = kzalloc(sizeof(*rg), GFP_KERNEL);
	long got;

	if (!rg)
		return -ENOMEM;
	rg->pages = kvcalloc(arg->npages, sizeof(*rg->pages), GFP_KERNEL);
	if (!rg->pages) {
		kfree(rg);
		return -ENOMEM;
	}
	got = pin_user_pages_fast(arg->addr, arg->npages, FOLL_WRITE, rg->pages);
	if (got != arg->npages) {
		if (got > 0)
			unpin_user_pages(rg->pages, got);
		kvfree(rg->pages);
		kfree(rg);
		return -EFAULT;
	}
	rg->npages = got;
	mutex_lock(&ctx->lock);
	list_add_tail(&rg->node, &ctx->regions);
	mutex_unlock(&ctx->lock);
	return 0;
}

static void pt_region_del(struct pt_ctx *ctx, struct pt_region *rg)
{
	list_del(&rg->node);
	unpin_user_pages_dirty_lock(rg->pages, rg->npages, true);
	kvfree(rg->pages);
	kfree(rg);
}

static int pt_set_ubuf(struct pt_ctx *ctx, struct pt_arg *arg)
{
	long rc;

	mmap_read_lock(current->mm);
	rc = get_user_pages(arg->addr, ctx->nubuf, FOLL_WRITE, ctx->ubuf);
	mmap_read_unlock(current->mm);
	if (rc < 0)
		return rc;
	if (rc < ctx->nubuf) {
		while (rc)
			put_page(ctx->ubuf[--rc]);
		return -EFAULT;
	}
	return 0;
}

static void pt_clear_ubuf(struct pt_ctx *ctx)
{
	unsigned int i;

	for (i = 0; i < ctx->nubuf; i++) {
		set_page_dirty_lock(ctx->ubuf[i]);
		put_page(ctx->ubuf[i]);
	}
	ctx->nubuf = 0;
}

static int pt_region_add_right(struct pt_ctx *ctx, struct pt_region *rg, struct pt_arg *arg, bool write)
{
	unsigned int flags = FOLL_LONGTERM;
	long got;

	if (write)
		flags |= FOLL_WRITE;
	got = pin_user_pages_fast(arg->addr, arg->npages, flags, rg->pages);
	if (got != arg->npages) {
		if (got > 0)
			unpin_user_pages(rg->pages, got);
		return got < 0 ? got : -EFAULT;
	}
	rg->npages = got;
	mutex_lock(&ctx->lock);
	list_add_tail(&rg->node, &ctx->regions);
	mutex_unlock(&ctx->lock);
	return 0;
}

static int pt_transfer_in(struct pt_ctx *ctx, struct pt_arg *arg, struct page **pages, struct sg_table *sgt)
{
	int got, ret;

	got = pin_user_pages_fast(arg->addr, arg->npages, FOLL_WRITE, pages);
	if (got <= 0)
		return got ? got : -EFAULT;
	ret = sg_alloc_table_from_pages(sgt, pages, got, 0, (size_t)got << PAGE_SHIFT, GFP_KERNEL);
	if (ret)
		goto unpin;
	ret = dma_map_sgtable(ctx->dev, sgt, DMA_FROM_DEVICE, 0);
	if (ret)
		goto free;
	ret = pt_start_and_wait(ctx, sgt);
	dma_unmap_sgtable(ctx->dev, sgt, DMA_FROM_DEVICE, 0);
free:
	sg_free_table(sgt);
unpin:
	unpin_user_pages(pages, got);
	return ret;
}

static int pt_transfer_out(struct pt_ctx *ctx, struct pt_arg *arg, struct page *page)
{
	dma_addr_t dma;
	int ret;

	ret = pin_user_pages_fast(arg->addr, 1, 0, &page);
	if (ret != 1)
		return ret < 0 ? ret : -EFAULT;
	dma = dma_map_page(ctx->dev, page, 0, PAGE_SIZE, DMA_TO_DEVICE);
	ret = dma_mapping_error(ctx->dev, dma);
	if (!ret) {
		pt_kick(ctx, dma);
		dma_unmap_page(ctx->dev, dma, PAGE_SIZE, DMA_TO_DEVICE);
	}
	unpin_user_page(page);
	return ret;
}

static int pt_store(unsigned long addr, const void *src, size_t len)
{
	struct page *page;
	char *va;

	if (len > PAGE_SIZE - offset_in_page(addr))
		return -EINVAL;
	if (get_user_pages_fast(addr, 1, FOLL_WRITE, &page) != 1)
		return -EFAULT;
	va = kmap_local_page(page);
	memcpy(va + offset_in_page(addr), src, len);
	kunmap_local(va);
	put_page(page);
	return 0;
}

static int pt_exchange(struct pt_ctx *ctx, unsigned long addr, int nr, struct page **pages)
{
	int i, got;

	got = pin_user_pages_fast(addr, nr, FOLL_WRITE, pages);
	if (got != nr) {
		if (got > 0)
			unpin_user_pages(pages, got);
		return -EFAULT;
	}
	for (i = 0; i < nr; i++) {
		dma_addr_t dma = dma_map_page(ctx->dev, pages[i], 0, PAGE_SIZE, DMA_BIDIRECTIONAL);

		if (dma_mapping_error(ctx->dev, dma))
			break;
		pt_kick(ctx, dma);
		dma_unmap_page(ctx->dev, dma, PAGE_SIZE, DMA_BIDIRECTIONAL);
	}
	while (nr--)
		unpin_user_page(pages[nr]);
	return 0;
}

static int pt_store_right(unsigned long addr, const void *src, size_t len)
{
	struct page *page;

	if (pin_user_pages_fast(addr, 1, FOLL_WRITE, &page) != 1)
		return -EFAULT;
	memcpy_to_page(page, offset_in_page(addr), src, len);
	set_page_dirty_lock(page);
	unpin_user_page(page);
	return 0;
}

static int pt_transfer_in_right(struct pt_ctx *ctx, struct pt_arg *arg, struct page **pages, struct sg_table *sgt)
{
	int got, ret;

	got = pin_user_pages_fast(arg->addr, arg->npages, FOLL_WRITE, pages);
	if (got <= 0)
		return got ? got : -EFAULT;
	ret = sg_alloc_table_from_pages(sgt, pages, got, 0, (size_t)got << PAGE_SHIFT, GFP_KERNEL);
	if (ret) {
		unpin_user_pages(pages, got);
		return ret;
	}
	ret = dma_map_sgtable(ctx->dev, sgt, DMA_FROM_DEVICE, 0);
	if (!ret) {
		ret = pt_start_and_wait(ctx, sgt);
		dma_unmap_sgtable(ctx->dev, sgt, DMA_FROM_DEVICE, 0);
	}
	sg_free_table(sgt);
	unpin_user_pages_dirty_lock(pages, got, !ret);
	return ret;
}

static long pt_ioctl(struct file *file, unsigned int cmd, unsigned long p)
{
	struct pt_ctx *ctx = file->private_data;
	struct pt_region *rg;
	struct pt_arg arg;
	u32 value;

	if (copy_from_user(&arg, (void __user *)p, sizeof(arg)))
		return -EFAULT;
	switch (cmd) {
	case 1: return pt_region_add(ctx, &arg);
	case 2: return pt_set_ubuf(ctx, &arg);
	case 3:
		rg = list_first_entry(&ctx->regions, struct pt_region, node);
		return pt_region_add_right(ctx, rg, &arg, true);
	case 4: return pt_ring_pin(&ctx->ring, arg.addr);
	case 5: return pt_read_head(arg.addr, &value);
	case 6: return pt_drop_head(&ctx->ring, arg.addr);
	case 7: return pt_read_head_right(arg.addr, &value);
	case 8: return pt_meta_get(&ctx->ring, arg.addr);
	case 9: return pt_any_get(&ctx->ring, arg.addr);
	}
	return -ENOTTY;
}

static int pt_release(struct inode *inode, struct file *file)
{
	struct pt_ctx *ctx = file->private_data;
	struct pt_region *rg, *next;

	list_for_each_entry_safe(rg, next, &ctx->regions, node)
		pt_region_del(ctx, rg);
	pt_clear_ubuf(ctx);
	pt_ring_unpin(&ctx->ring);
	pt_meta_put(&ctx->ring);
	pt_any_put(&ctx->ring);
	kfree(ctx);
	return 0;
}

static const struct file_operations pt_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = pt_ioctl,
	.release = pt_release,
};
