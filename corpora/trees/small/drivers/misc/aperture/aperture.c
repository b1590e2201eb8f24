// SPDX-License-Identifier: GPL-2.0-or-later
/* aperture: a character device in front of one PCI BAR. */
#include <linux/fs.h>
#include <linux/mm.h>
#include <uapi/linux/aperture.h>

#include "aperture.h"

static long aperture_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct aperture *ap = file->private_data;
	u64 size;

	switch (cmd) {
	case APERTURE_IOC_SIZE:
		size = pci_resource_len(ap->pdev, APERTURE_BAR);
		if (copy_to_user((void *)arg, &size, sizeof(size)))
			return -EFAULT;
		return 0;
	case APERTURE_IOC_RESET:
		return aperture_reset(ap);
	default:
		return -ENOTTY;
	}
}

static int aperture_open(struct inode *inode, struct file *file)
{
	file->private_data = inode->i_private;
	return 0;
}

const struct file_operations aperture_fops = {
	.owner = THIS_MODULE,
	.open = aperture_open,
	.unlocked_ioctl = aperture_ioctl,
};

static void aperture_remove(struct pci_dev *pdev)
{
	aperture_detach(pci_get_drvdata(pdev));
}

struct pci_driver aperture_driver = {
	.name = "aperture",
	.remove = aperture_remove,
};
