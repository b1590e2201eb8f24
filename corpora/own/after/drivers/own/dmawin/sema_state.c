// SPDX-License-Identifier: GPL-2.0
#include <linux/io.h>
#include <linux/types.h>
#include "dmawin.h"

struct sema_dev;

void __iomem *sema_window(struct sema_dev *sd);

int sema_read_state(struct sema_dev *sd, u32 *state)
{
	void __iomem *win = sema_window(sd);

	if (!win)
		return -ENODEV;
	*state = readl(win);
	if (*state == ~0u)
		return -EIO;
	if (*state & 1)
		return -EBUSY;
	return 0;
}

int sema_map_state(struct sema_dev *sd, u32 state)
{
	if (state > 7)
		return -ERANGE;
	if (!sema_window(sd))
		return -ENODEV;
	return 0;
}
