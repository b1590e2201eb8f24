/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef _LINUX_PCI_H
#define _LINUX_PCI_H

#include <linux/types.h>

struct pci_dev;

struct pci_driver {
	const char *name;
	void (*remove)(struct pci_dev *pdev);
};

void *pci_get_drvdata(struct pci_dev *pdev);
phys_addr_t pci_resource_start(struct pci_dev *pdev, int bar);
unsigned long pci_resource_len(struct pci_dev *pdev, int bar);
int pci_try_reset_function(struct pci_dev *pdev);
void pci_disable_device(struct pci_dev *pdev);

#endif
