// SPDX-License-Identifier: GPL-2.0
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pci.h>
#include "barcard.h"

void barcard_zap(struct barcard *bc)
{
	if (bc->inode)
		unmap_mapping_range(bc->inode->i_mapping, 0, 0, 1);
}

void barcard_mark_gone(struct barcard *bc)
{
	mutex_lock(&bc->lock);
	WRITE_ONCE(bc->gone, true);
	mutex_unlock(&bc->lock);
}

static void barcard_remove(struct pci_dev *pdev)
{
	struct barcard *bc = pci_get_drvdata(pdev);

	barcard_mark_gone(bc);
	cdev_del(&bc->cdev);
}

static int barcard_runtime_suspend(struct device *dev)
{
	struct barcard *bc = pci_get_drvdata(to_pci_dev(dev));

	bc->suspended = true;
	pci_save_state(bc->pdev);
	pci_disable_device(bc->pdev);
	return pci_set_power_state(bc->pdev, PCI_D3hot);
}

static void barcard_error(struct barcard *bc)
{
	mutex_lock(&bc->lock);
	bc->gone = true;
	mutex_unlock(&bc->lock);
	barcard_zap(bc);
	pci_disable_device(bc->pdev);
}

static pci_ers_result_t barcard_error_detected(struct pci_dev *pdev, pci_channel_state_t state)
{
	barcard_error(pci_get_drvdata(pdev));
	return PCI_ERS_RESULT_DISCONNECT;
}

static const struct pci_error_handlers barcard_err_handler = {
	.error_detected = barcard_error_detected,
};

static const struct dev_pm_ops barcard_pm_ops = {
	.runtime_suspend = barcard_runtime_suspend,
};

static struct pci_driver barcard_driver = {
	.name = "barcard",
	.remove = barcard_remove,
	.err_handler = &barcard_err_handler,
	.driver.pm = &barcard_pm_ops,
};
