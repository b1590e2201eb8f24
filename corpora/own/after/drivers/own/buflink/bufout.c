// SPDX-License-Identifier: GPL-2.0
#include <linux/dma-buf.h>
#include <linux/dma-resv.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "buflink.h"

struct bl_export_arg {
	__u64 size;
	__s32 fd;
	__u32 flags;
};

static void bo_release(struct dma_buf *dmabuf)
{
	struct bl_buf *buf = dmabuf->priv;

	kvfree(buf->vaddr);
	kfree(buf);
}

static struct sg_table *bo_map(struct dma_buf_attachment *attach, enum dma_data_direction dir)
{
	struct bl_buf *buf = attach->dmabuf->priv;

	dma_resv_assert_held(attach->dmabuf->resv);
	if (buf->revoked)
		return ERR_PTR(-ENODEV);
	return ERR_PTR(-ENOMEM);
}

static void bo_unmap(struct dma_buf_attachment *attach, struct sg_table *sgt, enum dma_data_direction dir)
{
	sg_free_table(sgt);
}

static const struct dma_buf_ops bo_ops = {
	.map_dma_buf = bo_map,
	.unmap_dma_buf = bo_unmap,
	.release = bo_release,
};

static struct dma_buf *bo_wrap(struct bl_buf *buf)
{
	DEFINE_DMA_BUF_EXPORT_INFO(info);

	info.ops = &bo_ops;
	info.size = buf->size;
	info.flags = O_RDWR;
	info.priv = buf;
	return dma_buf_export(&info);
}

static long bo_export(struct bl_dev *bl, struct bl_buf *buf, struct bl_export_arg __user *uarg)
{
	struct dma_buf *dmabuf = bo_wrap(buf);
	struct bl_export_arg arg = {};

	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);
	arg.fd = dma_buf_fd(dmabuf, O_CLOEXEC);
	if (arg.fd < 0) {
		dma_buf_put(dmabuf);
		return arg.fd;
	}
	if (copy_to_user(uarg, &arg, sizeof(arg))) {
		dma_buf_put(dmabuf);
		return -EFAULT;
	}
	return 0;
}

static int bo_create(struct bl_dev *bl, size_t size)
{
	struct bl_buf *buf;
	int ret;

	buf = kzalloc(sizeof(*buf), GFP_KERNEL);
	if (!buf)
		return -ENOMEM;
	buf->size = size;
	buf->vaddr = kvzalloc(size, GFP_KERNEL);
	if (!buf->vaddr) {
		ret = -ENOMEM;
		goto free_buf;
	}
	buf->dmabuf = bo_wrap(buf);
	if (IS_ERR(buf->dmabuf)) {
		ret = PTR_ERR(buf->dmabuf);
		goto free_mem;
	}
	ret = dma_buf_fd(buf->dmabuf, O_CLOEXEC);
	if (ret >= 0)
		return ret;
	dma_buf_put(buf->dmabuf);
free_mem:
	kvfree(buf->vaddr);
free_buf:
	kfree(buf);
	return ret;
}

static int bo_export_listed(struct bl_dev *bl, struct bl_buf *buf)
{
	int fd;

	buf->dmabuf = bo_wrap(buf);
	if (IS_ERR(buf->dmabuf))
		return PTR_ERR(buf->dmabuf);
	fd = dma_buf_fd(buf->dmabuf, O_CLOEXEC | O_RDWR);
	if (fd < 0) {
		dma_buf_put(buf->dmabuf);
		return fd;
	}
	mutex_lock(&bl->lock);
	list_add(&buf->node, &bl->exports);
	mutex_unlock(&bl->lock);
	return fd;
}

static int bo_export_right(struct bl_buf *buf)
{
	struct dma_buf *dmabuf = bo_wrap(buf);
	int fd;

	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);
	fd = dma_buf_fd(dmabuf, O_CLOEXEC);
	if (fd < 0)
		dma_buf_put(dmabuf);
	return fd;
}

static long bo_export_leak(struct bl_buf *buf, struct bl_export_arg __user *uarg)
{
	struct dma_buf *dmabuf = bo_wrap(buf);
	int fd;

	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);
	fd = dma_buf_fd(dmabuf, O_CLOEXEC);
	if (fd < 0) {
		dma_buf_put(dmabuf);
		return fd;
	}
	if (put_user(fd, &uarg->fd))
		return -EFAULT;
	return 0;
}

static long bo_export_reserved(struct bl_buf *buf, struct bl_export_arg __user *uarg)
{
	struct dma_buf *dmabuf = bo_wrap(buf);
	int fd;

	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);
	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0) {
		dma_buf_put(dmabuf);
		return fd;
	}
	if (put_user(fd, &uarg->fd)) {
		put_unused_fd(fd);
		dma_buf_put(dmabuf);
		return -EFAULT;
	}
	fd_install(fd, dmabuf->file);
	return 0;
}

static void bo_revoke_all(struct bl_dev *bl)
{
	struct bl_buf *buf;

	mutex_lock(&bl->lock);
	list_for_each_entry(buf, &bl->exports, node) {
		buf->revoked = true;
		dma_buf_move_notify(buf->dmabuf);
	}
	mutex_unlock(&bl->lock);
	bl_hw_reset(bl);
}

static void bo_revoke_write(struct bl_buf *buf)
{
	dma_resv_lock(buf->dmabuf->resv, NULL);
	buf->revoked = true;
	dma_buf_move_notify(buf->dmabuf);
	dma_resv_wait_timeout(buf->dmabuf->resv, DMA_RESV_USAGE_WRITE, false, MAX_SCHEDULE_TIMEOUT);
	dma_resv_unlock(buf->dmabuf->resv);
	kvfree(buf->vaddr);
	buf->vaddr = NULL;
}

static void bo_revoke_right(struct bl_buf *buf)
{
	dma_resv_lock(buf->dmabuf->resv, NULL);
	buf->revoked = true;
	dma_buf_move_notify(buf->dmabuf);
	dma_resv_wait_timeout(buf->dmabuf->resv, DMA_RESV_USAGE_BOOKKEEP, false, MAX_SCHEDULE_TIMEOUT);
	dma_resv_unlock(buf->dmabuf->resv);
	wait_for_completion(&buf->unmapped);
	kvfree(buf->vaddr);
	buf->vaddr = NULL;
}

static void bo_revoke_drained(struct bl_buf *buf)
{
	dma_resv_lock(buf->dmabuf->resv, NULL);
	buf->revoked = true;
	dma_buf_move_notify(buf->dmabuf);
	dma_resv_unlock(buf->dmabuf->resv);
	bl_buf_drain(buf);
	kvfree(buf->vaddr);
	buf->vaddr = NULL;
}

static int bo_remove(struct platform_device *pdev)
{
	bo_revoke_all(platform_get_drvdata(pdev));
	return 0;
}

static struct platform_driver bo_driver = {
	.remove = bo_remove,
	.driver.name = "bufout",
};
