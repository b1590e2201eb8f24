// SPDX-License-Identifier: GPL-2.0
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/dma-mapping.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

struct pn_req {
	__u64 addr;
	__u32 nr;
	__u32 flags;
};

struct pn_buf {
	struct list_head node;
	struct page **pages;
	unsigned int nr_pages;
	struct sg_table sgt;
	bool writable;
};

struct pn_dev {
	struct device *dev;
	struct mutex lock;
	struct list_head bufs;
	struct pn_buf *cur;
};

static int pn_map_once(struct pn_dev *pn, struct pn_buf *buf, unsigned long addr, int nr)
{
	int got, err;

	got = pin_user_pages_fast(addr, nr, FOLL_WRITE | FOLL_LONGTERM, buf->pages);
	if (got < 0)
		return got;
	if (got < nr) {
		unpin_user_pages(buf->pages, got);
		return -EFAULT;
	}
	err = sg_alloc_table_from_pages(&buf->sgt, buf->pages, nr, 0, (size_t)nr << PAGE_SHIFT, GFP_KERNEL);
	if (err)
		return err;
	buf->nr_pages = nr;
	return 0;
}

static int pn_pin_all(struct pn_req *req, struct page **pages)
{
	long n;

	mmap_read_lock(current->mm);
	n = pin_user_pages(req->addr, req->nr, FOLL_LONGTERM | FOLL_WRITE, pages);
	mmap_read_unlock(current->mm);
	if (n != req->nr)
		return n < 0 ? n : -EFAULT;
	return 0;
}

static int pn_pin_batches(struct page **pages, unsigned long addr, unsigned int nr)
{
	unsigned int done = 0;
	int ret;

	while (done < nr) {
		ret = pin_user_pages_fast(addr + done * PAGE_SIZE, min(nr - done, 32u), FOLL_WRITE | FOLL_LONGTERM,
					  pages + done);
		if (ret <= 0) {
			ret = ret ?: -EFAULT;
			goto unpin;
		}
		if (PageReserved(pages[done])) {
			ret = -EPERM;
			goto unpin;
		}
		done += ret;
		cond_resched();
	}
	return 0;

unpin:
	unpin_user_pages(pages, done);
	return ret;
}

static int pn_map_right(struct pn_dev *pn, struct pn_buf *buf, unsigned long addr, int nr)
{
	int got, err;

	got = pin_user_pages_fast(addr, nr, FOLL_WRITE | FOLL_LONGTERM, buf->pages);
	if (got != nr) {
		err = got < 0 ? got : -EFAULT;
		goto out;
	}
	err = sg_alloc_table_from_pages(&buf->sgt, buf->pages, nr, 0, (size_t)nr << PAGE_SHIFT, GFP_KERNEL);
	if (!err) {
		buf->nr_pages = nr;
		return 0;
	}
out:
	if (got > 0)
		unpin_user_pages(buf->pages, got);
	return err;
}

static void pn_buf_free(struct pn_buf *buf)
{
	if (buf->nr_pages)
		unpin_user_pages_dirty_lock(buf->pages, buf->nr_pages, buf->writable);
	kvfree(buf->pages);
	kfree(buf);
}

static struct pn_buf *pn_buf_create(struct pn_dev *pn, struct pn_req *req)
{
	struct pn_buf *buf = kzalloc(sizeof(*buf), GFP_KERNEL);
	int ret;

	if (!buf)
		return ERR_PTR(-ENOMEM);
	buf->writable = true;
	buf->pages = kvcalloc(req->nr, sizeof(*buf->pages), GFP_KERNEL);
	if (!buf->pages) {
		ret = -ENOMEM;
		goto err;
	}
	ret = pin_user_pages_fast(req->addr, req->nr, FOLL_WRITE | FOLL_LONGTERM, buf->pages);
	if (ret <= 0) {
		ret = ret ?: -EFAULT;
		goto err;
	}
	buf->nr_pages = ret;
	if (buf->nr_pages != req->nr) {
		ret = -EFAULT;
		goto err;
	}
	ret = dma_set_max_seg_size(pn->dev, UINT_MAX);
	if (ret)
		goto err;
	return buf;
err:
	pn_buf_free(buf);
	return ERR_PTR(ret);
}

static int pn_pin_single(unsigned long addr, struct page **page)
{
	int ret = pin_user_pages_fast(addr, 1, FOLL_LONGTERM, page);

	if (ret == 1)
		return 0;
	return ret < 0 ? ret : -EFAULT;
}

static int pn_fill(unsigned long addr, int nr, struct page **pages)
{
	int i, ret;

	ret = pin_user_pages_fast(addr, nr, FOLL_WRITE, pages);
	if (ret < 0)
		return ret;
	for (i = 0; i < nr; i++)
		memzero_page(pages[i], 0, PAGE_SIZE);
	unpin_user_pages_dirty_lock(pages, nr, true);
	return 0;
}

static int pn_pin_exact(unsigned long addr, int nr, struct page **pages)
{
	int ret = pin_user_pages_fast(addr, nr, FOLL_WRITE | FOLL_LONGTERM, pages);

	if (ret == nr)
		return 0;
	if (ret >= 0) {
		unpin_user_pages(pages, nr);
		ret = -EFAULT;
	}
	return ret;
}

static int pn_pin_loop(unsigned long addr, long left, struct page **pages)
{
	long got;

	do {
		got = get_user_pages_fast(addr, left, FOLL_WRITE, pages);
		if (got < 0)
			return got;
		left -= got;
		pages += got;
		addr += got << PAGE_SHIFT;
	} while (left);
	return 0;
}

static int pn_fill_clamped(unsigned long addr, int nr, struct page **pages)
{
	int i, ret;

	ret = pin_user_pages_fast(addr, nr, FOLL_WRITE, pages);
	if (ret <= 0)
		return ret;
	nr = ret;
	for (i = 0; i < nr; i++)
		memzero_page(pages[i], 0, PAGE_SIZE);
	unpin_user_pages_dirty_lock(pages, nr, true);
	return nr;
}

static int pn_poke_one(unsigned long addr, u8 value)
{
	struct page *page;

	if (get_user_pages_fast(addr, 1, FOLL_WRITE, &page) != 1)
		return -EFAULT;
	memset_page(page, offset_in_page(addr), value, 1);
	set_page_dirty_lock(page);
	put_page(page);
	return 0;
}

static int pn_fill_exact(unsigned long addr, unsigned int nr, struct page **pages)
{
	int ret = pin_user_pages_fast(addr, nr, FOLL_WRITE, pages);
	unsigned int i;

	if (ret < 0)
		return ret;
	if ((unsigned int)ret < nr) {
		unpin_user_pages(pages, ret);
		return -ENOMEM;
	}
	for (i = 0; i < nr; i++)
		memzero_page(pages[i], 0, PAGE_SIZE);
	unpin_user_pages_dirty_lock(pages, nr, true);
	return 0;
}

static int pn_map_user(struct pn_dev *pn, struct pn_req *req, bool once)
{
	struct pn_buf *buf = kzalloc(sizeof(*buf), GFP_KERNEL);
	int ret;

	if (!buf)
		return -ENOMEM;
	buf->pages = kvcalloc(req->nr, sizeof(*buf->pages), GFP_KERNEL);
	if (!buf->pages) {
		kfree(buf);
		return -ENOMEM;
	}
	if (once)
		ret = pn_map_once(pn, buf, req->addr, req->nr);
	else
		ret = pn_map_right(pn, buf, req->addr, req->nr);
	if (ret) {
		kvfree(buf->pages);
		kfree(buf);
		return ret;
	}
	list_add(&buf->node, &pn->bufs);
	return 0;
}

static int pn_with_pages(struct pn_dev *pn, struct pn_req *req, unsigned int cmd)
{
	struct page **pages = kvcalloc(req->nr, sizeof(*pages), GFP_KERNEL);
	int ret;

	if (!pages)
		return -ENOMEM;
	switch (cmd) {
	case 2: ret = pn_pin_all(req, pages); break;
	case 3: ret = pn_pin_batches(pages, req->addr, req->nr); break;
	case 5: ret = pn_fill(req->addr, req->nr, pages); break;
	case 6: ret = pn_pin_exact(req->addr, req->nr, pages); break;
	case 7: ret = pn_pin_loop(req->addr, req->nr, pages); break;
	case 8: ret = pn_fill_clamped(req->addr, req->nr, pages); break;
	case 10: ret = pn_fill_exact(req->addr, req->nr, pages); break;
	default: ret = pn_pin_single(req->addr, pages);
	}
	if (ret)
		kvfree(pages);
	return ret;
}

static long pn_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct pn_dev *pn = file->private_data;
	struct pn_req req;
	struct pn_buf *buf;
	int ret;

	if (copy_from_user(&req, (void __user *)arg, sizeof(req)))
		return -EFAULT;
	mutex_lock(&pn->lock);
	switch (cmd) {
	case 1: ret = pn_map_user(pn, &req, true); break;
	case 4: ret = pn_map_user(pn, &req, false); break;
	case 9: ret = pn_poke_one(req.addr, 0); break;
	case 11:
		buf = pn_buf_create(pn, &req);
		ret = PTR_ERR_OR_ZERO(buf);
		if (!ret)
			list_add(&buf->node, &pn->bufs);
		break;
	default: ret = pn_with_pages(pn, &req, cmd);
	}
	mutex_unlock(&pn->lock);
	return ret;
}

static const struct file_operations pn_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = pn_ioctl,
};
