// SPDX-License-Identifier: GPL-2.0-or-later
/* aperture: the BAR goes away, for a moment or for good. */
#include <linux/pci.h>

#include "aperture.h"

/* Nobody may touch the BAR while the function is being reset. */
int aperture_reset(struct aperture *ap)
{
	int err;

	down_write(&ap->bar_lock);
	ap->revoked = true;
	err = pci_try_reset_function(ap->pdev);
	if (!err)
		ap->revoked = false;
	up_write(&ap->bar_lock);
	return err;
}

/* The device is being unplugged. */
void aperture_detach(struct aperture *ap)
{
	down_write(&ap->bar_lock);
	ap->revoked = true;
	up_write(&ap->bar_lock);
	pci_disable_device(ap->pdev);
}
