// SPDX-License-Identifier: GPL-2.0
#include <linux/dma-buf.h>
#include <linux/dma-resv.h>
#include <linux/module.h>
#include <linux/slab.h>
#include "buflink.h"

static void bl_link_release(struct kref *ref)
{
	struct bl_link *link = container_of(ref, struct bl_link, ref);

	if (!IS_ERR_OR_NULL(link->sgt))
		dma_buf_unmap_attachment_unlocked(link->attach, link->sgt, DMA_BIDIRECTIONAL);
	if (!IS_ERR_OR_NULL(link->attach))
		dma_buf_detach(link->dmabuf, link->attach);
	if (link->dmabuf)
		dma_buf_put(link->dmabuf);
	kfree(link);
}

static int bl_import(struct bl_dev *bl, struct bl_link *link, int fd)
{
	int err;

	link->dmabuf = dma_buf_get(fd);
	if (IS_ERR(link->dmabuf))
		return PTR_ERR(link->dmabuf);
	link->attach = dma_buf_attach(link->dmabuf, bl->dev);
	if (IS_ERR(link->attach)) {
		err = PTR_ERR(link->attach);
		goto put;
	}
	link->sgt = dma_buf_map_attachment_unlocked(link->attach, DMA_BIDIRECTIONAL);
	if (IS_ERR(link->sgt)) {
		err = PTR_ERR(link->sgt);
		goto put;
	}
	return 0;
put:
	dma_buf_put(link->dmabuf);
	return err;
}

static int bl_import_and_run(struct bl_dev *bl, struct dma_buf *dmabuf)
{
	struct dma_buf_attachment *at;
	struct sg_table *table;
	int rc = 0;

	at = dma_buf_attach(dmabuf, bl->dev);
	if (IS_ERR(at))
		return PTR_ERR(at);

	table = dma_buf_map_attachment_unlocked(at, DMA_TO_DEVICE);
	if (IS_ERR(table)) {
		rc = PTR_ERR(table);
	} else {
		rc = bl_program(bl, table);
		if (!rc)
			dma_buf_unmap_attachment_unlocked(at, table, DMA_TO_DEVICE);
	}
	dma_buf_detach(dmabuf, at);
	return rc;
}

static struct bl_link *bl_link_create(struct bl_dev *bl, int fd)
{
	struct bl_link *link = kzalloc(sizeof(*link), GFP_KERNEL);
	int err;

	if (!link)
		return ERR_PTR(-ENOMEM);
	kref_init(&link->ref);
	link->bl = bl;
	link->dmabuf = dma_buf_get(fd);
	if (IS_ERR(link->dmabuf)) {
		err = PTR_ERR(link->dmabuf);
		kfree(link);
		return ERR_PTR(err);
	}
	link->attach = dma_buf_attach(link->dmabuf, bl->dev);
	if (IS_ERR(link->attach)) {
		err = PTR_ERR(link->attach);
		goto fail;
	}
	link->sgt = dma_buf_map_attachment_unlocked(link->attach, DMA_BIDIRECTIONAL);
	if (IS_ERR(link->sgt)) {
		err = PTR_ERR(link->sgt);
		dma_buf_detach(link->dmabuf, link->attach);
		dma_buf_put(link->dmabuf);
		goto fail;
	}
	return link;
fail:
	kref_put(&link->ref, bl_link_release);
	return ERR_PTR(err);
}

static int bl_import_right(struct bl_dev *bl, struct bl_link *link, int fd)
{
	int err;

	link->dmabuf = dma_buf_get(fd);
	if (IS_ERR(link->dmabuf))
		return PTR_ERR(link->dmabuf);
	link->attach = dma_buf_attach(link->dmabuf, bl->dev);
	if (IS_ERR(link->attach)) {
		err = PTR_ERR(link->attach);
		goto put;
	}
	link->sgt = dma_buf_map_attachment_unlocked(link->attach, DMA_BIDIRECTIONAL);
	if (IS_ERR(link->sgt)) {
		err = PTR_ERR(link->sgt);
		goto detach;
	}
	err = bl_program(bl, link->sgt);
	if (err)
		goto unmap;
	return 0;
unmap:
	dma_buf_unmap_attachment_unlocked(link->attach, link->sgt, DMA_BIDIRECTIONAL);
detach:
	dma_buf_detach(link->dmabuf, link->attach);
put:
	dma_buf_put(link->dmabuf);
	return err;
}

static struct bl_link *bl_link_create_owned(struct bl_dev *bl, struct dma_buf *dmabuf)
{
	struct bl_link *link = kzalloc(sizeof(*link), GFP_KERNEL);
	long err;

	if (!link)
		return ERR_PTR(-ENOMEM);
	kref_init(&link->ref);
	link->bl = bl;
	get_dma_buf(dmabuf);
	link->dmabuf = dmabuf;
	link->attach = dma_buf_attach(dmabuf, bl->dev);
	if (IS_ERR(link->attach)) {
		err = PTR_ERR(link->attach);
		goto put;
	}
	link->sgt = dma_buf_map_attachment_unlocked(link->attach, DMA_BIDIRECTIONAL);
	if (IS_ERR(link->sgt)) {
		err = PTR_ERR(link->sgt);
		goto put;
	}
	return link;
put:
	kref_put(&link->ref, bl_link_release);
	return ERR_PTR(err);
}

static void bl_move_notify(struct dma_buf_attachment *attach)
{
	struct bl_link *link = attach->importer_priv;

	dma_resv_assert_held(attach->dmabuf->resv);
	if (link->sgt)
		dma_buf_unmap_attachment(attach, link->sgt, DMA_BIDIRECTIONAL);
	link->sgt = NULL;
}

static const struct dma_buf_attach_ops bl_attach_ops = {
	.allow_peer2peer = true,
	.move_notify = bl_move_notify,
};

static const struct dma_buf_attach_ops bl_deaf_ops = {
	.allow_peer2peer = true,
};

static int bl_attach_deaf(struct bl_link *link, struct dma_buf *dmabuf)
{
	link->attach = dma_buf_dynamic_attach(dmabuf, link->bl->dev, &bl_deaf_ops, link);
	return PTR_ERR_OR_ZERO(link->attach);
}

static struct dma_buf_attachment *bl_attach_with(struct bl_link *link, struct dma_buf *dmabuf,
						 const struct dma_buf_attach_ops *ops)
{
	return dma_buf_dynamic_attach(dmabuf, link->bl->dev, ops, link);
}

static int bl_attach_pinned(struct bl_link *link, struct dma_buf *dmabuf)
{
	int ret;

	link->attach = dma_buf_dynamic_attach(dmabuf, link->bl->dev, &bl_attach_ops, link);
	if (IS_ERR(link->attach))
		return PTR_ERR(link->attach);

	dma_resv_lock(dmabuf->resv, NULL);
	ret = dma_buf_pin(link->attach);
	if (ret)
		goto unlock;
	link->sgt = dma_buf_map_attachment(link->attach, DMA_BIDIRECTIONAL);
	if (IS_ERR(link->sgt)) {
		ret = PTR_ERR(link->sgt);
		link->sgt = NULL;
		dma_buf_unpin(link->attach);
	}
unlock:
	dma_resv_unlock(dmabuf->resv);
	if (ret)
		dma_buf_detach(dmabuf, link->attach);
	return ret;
}

static int bl_attach_any(struct bl_link *link, struct dma_buf *dmabuf, const struct dma_buf_attach_ops *ops)
{
	if (!ops || !ops->move_notify)
		return -EINVAL;
	link->attach = bl_attach_with(link, dmabuf, ops);
	return PTR_ERR_OR_ZERO(link->attach);
}

static int bl_remap(struct bl_link *link)
{
	int err = 0;

	mutex_lock(&link->bl->lock);
	link->sgt = dma_buf_map_attachment(link->attach, DMA_BIDIRECTIONAL);
	if (IS_ERR(link->sgt)) {
		err = PTR_ERR(link->sgt);
		link->sgt = NULL;
	}
	mutex_unlock(&link->bl->lock);
	return err;
}

static void bl_unpin(struct bl_link *link)
{
	dma_resv_lock(link->dmabuf->resv, NULL);
	dma_buf_unmap_attachment(link->attach, link->sgt, DMA_BIDIRECTIONAL);
	link->sgt = NULL;
	dma_resv_unlock(link->dmabuf->resv);
	dma_buf_unpin(link->attach);
}

static int bl_vmap_all(struct bl_link *link, struct iosys_map *map)
{
	int ret;

	ret = dma_resv_lock_interruptible(link->dmabuf->resv, NULL);
	if (ret)
		return ret;
	ret = dma_buf_vmap_unlocked(link->dmabuf, map);
	dma_resv_unlock(link->dmabuf->resv);
	return ret;
}

static int bl_vmap(struct bl_link *link, struct iosys_map *map)
{
	return dma_buf_vmap_unlocked(link->dmabuf, map);
}

static void bl_link_lock(struct bl_link *link)
{
	dma_resv_lock(link->attach->dmabuf->resv, NULL);
}

static void bl_link_unlock(struct bl_link *link)
{
	dma_resv_unlock(link->attach->dmabuf->resv);
}

static int bl_remap_wrapped(struct bl_link *link)
{
	struct sg_table *sgt;

	bl_link_lock(link);
	sgt = dma_buf_map_attachment(link->attach, DMA_TO_DEVICE);
	if (!IS_ERR(sgt))
		link->sgt = sgt;
	bl_link_unlock(link);
	return PTR_ERR_OR_ZERO(sgt);
}

static int bl_remap_held(struct bl_link *link)
{
	dma_resv_assert_held(link->dmabuf->resv);
	link->sgt = dma_buf_map_attachment(link->attach, DMA_BIDIRECTIONAL);
	return PTR_ERR_OR_ZERO(link->sgt);
}

int bl_link_run(struct bl_dev *bl, struct bl_link *link, int fd, bool right)
{
	int err;

	err = right ? bl_import_right(bl, link, fd) : bl_import(bl, link, fd);
	if (err)
		kfree(link);
	return err;
}

long bl_link_command(struct bl_link *link, unsigned int cmd, struct iosys_map *map)
{
	long ret = 0;

	switch (cmd) {
	case 1:
		ret = bl_remap(link);
		break;
	case 2:
		bl_unpin(link);
		break;
	case 3:
		ret = bl_vmap_all(link, map);
		break;
	case 4:
		ret = bl_vmap(link, map);
		break;
	case 5:
		ret = bl_remap_wrapped(link);
		break;
	case 6:
		dma_resv_lock(link->dmabuf->resv, NULL);
		ret = bl_remap_held(link);
		dma_resv_unlock(link->dmabuf->resv);
		break;
	case 7:
		ret = bl_import_and_run(link->bl, link->dmabuf);
		break;
	}
	return ret;
}

static long bl_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct iosys_map map;

	return bl_link_command(file->private_data, cmd, &map);
}

static const struct file_operations bl_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = bl_ioctl,
};
