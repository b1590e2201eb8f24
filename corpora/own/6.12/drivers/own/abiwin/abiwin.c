// SPDX-License-Identifier: GPL-2.0
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/uaccess.h>
#include <uapi/linux/abiwin.h>
#include "abiwin.h"

static int aw_pin(struct aw_ctx *ctx, struct aw_map *map)
{
	long got = pin_user_pages_fast(map->addr, map->npages, FOLL_WRITE | FOLL_LONGTERM, ctx->pages);

	if (got < 0)
		return -EFAULT;
	if (got != map->npages) {
		unpin_user_pages(ctx->pages, got);
		return -EFAULT;
	}
	return 0;
}

static int aw_map_range(struct aw_ctx *ctx, struct aw_map *map)
{
	if (!map->npages)
		return -EINVAL;
	return aw_pin(ctx, map);
}

static int aw_query(struct aw_ctx *ctx, struct aw_query *query)
{
	if (query->index >= ctx->nr)
		return -EINVAL;
	query->value = ctx->values[query->index];
	return 0;
}

static int aw_start(struct aw_ctx *ctx)
{
	int ret = aw_hw_start(ctx);

	if (ret == -ETIMEDOUT)
		return -EIO;
	if (ret)
		return -EINVAL;
	return 0;
}

static int aw_stop(struct aw_ctx *ctx)
{
	int ret = 0;

	mutex_lock(&ctx->lock);
	if (!ctx->running)
		ret = -EINVAL;
	else
		ctx->running = false;
	mutex_unlock(&ctx->lock);
	return ret;
}

static int aw_setup(struct aw_ctx *ctx)
{
	if (!ctx->pages)
		return -ENOMEM;
	return 0;
}

static long aw_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct aw_ctx *ctx = file->private_data;
	struct aw_query query;
	struct aw_map map;

	switch (cmd) {
	case AW_MAP:
		if (copy_from_user(&map, (void __user *)arg, sizeof(map)))
			return -EFAULT;
		return aw_map_range(ctx, &map);
	case AW_QUERY:
		if (copy_from_user(&query, (void __user *)arg, sizeof(query)))
			return -EFAULT;
		return aw_query(ctx, &query);
	case AW_START:
		return aw_start(ctx);
	case AW_STOP:
		return aw_stop(ctx);
	}
	return -ENOTTY;
}

static const struct file_operations aw_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = aw_ioctl,
};

int aw_probe(struct aw_ctx *ctx)
{
	return aw_setup(ctx);
}
