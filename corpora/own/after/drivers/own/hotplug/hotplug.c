// SPDX-License-Identifier: GPL-2.0
#include <linux/dma-mapping.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/usb.h>

enum hp_state { HP_RUNNING, HP_CLOSED };

struct hp_unit {
	struct list_head node;
	struct hp_host *host;
	struct mutex lock;
	void __iomem *regs;
	phys_addr_t start;
	resource_size_t len;
	enum hp_state state;
	bool revoked;
};

struct hp_host {
	struct mutex lock;
	struct list_head units;
	struct address_space *mapping;
	struct device *dev;
};

static bool hp_usable(struct hp_unit *hp)
{
	return hp->state == HP_RUNNING && !hp->revoked;
}

static vm_fault_t hp_fault(struct vm_fault *vmf)
{
	struct hp_unit *hp = vmf->vma->vm_private_data;
	vm_fault_t ret = VM_FAULT_SIGBUS;

	mutex_lock(&hp->lock);
	if (hp_usable(hp))
		ret = vmf_insert_pfn(vmf->vma, vmf->address, PHYS_PFN(hp->start) + vmf->pgoff);
	mutex_unlock(&hp->lock);
	return ret;
}

static vm_fault_t hp_insert(struct hp_unit *hp, struct vm_fault *vmf)
{
	return vmf_insert_pfn(vmf->vma, vmf->address, PHYS_PFN(hp->start) + vmf->pgoff);
}

static vm_fault_t hp_fault_late(struct vm_fault *vmf)
{
	struct hp_unit *hp = vmf->vma->vm_private_data;
	int ok;

	mutex_lock(&hp->lock);
	ok = hp_usable(hp);
	mutex_unlock(&hp->lock);
	if (!ok)
		return VM_FAULT_SIGBUS;
	return hp_insert(hp, vmf);
}

static const struct vm_operations_struct hp_vm_ops = { .fault = hp_fault };
static const struct vm_operations_struct hp_late_ops = { .fault = hp_fault_late };

static int hp_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct hp_unit *hp = file->private_data;

	if (!(vma->vm_flags & VM_SHARED) || vma->vm_pgoff + vma_pages(vma) > PHYS_PFN(hp->len))
		return -EINVAL;
	vm_flags_set(vma, VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP);
	vma->vm_private_data = hp;
	vma->vm_ops = hp->host ? &hp_vm_ops : &hp_late_ops;
	return 0;
}

static const struct file_operations hp_fops = {
	.owner = THIS_MODULE,
	.mmap = hp_mmap,
};

static void hp_revoke_all(struct hp_host *host)
{
	struct hp_unit *hp;

	mutex_lock(&host->lock);
	list_for_each_entry(hp, &host->units, node) {
		mutex_lock(&hp->lock);
		hp->revoked = true;
		mutex_unlock(&hp->lock);
	}
	mutex_unlock(&host->lock);
}

static void hp_revoke_all_right(struct hp_host *host)
{
	struct hp_unit *hp;

	mutex_lock(&host->lock);
	list_for_each_entry(hp, &host->units, node) {
		mutex_lock(&hp->lock);
		hp->revoked = true;
		mutex_unlock(&hp->lock);
	}
	unmap_mapping_range(host->mapping, 0, 0, 1);
	mutex_unlock(&host->lock);
}

static int hp_close(struct hp_unit *hp, bool quick)
{
	mutex_lock(&hp->lock);
	hp->state = HP_CLOSED;
	mutex_unlock(&hp->lock);
	if (quick)
		return 0;
	unmap_mapping_range(hp->host->mapping, hp->start, hp->len, 1);
	return 0;
}

static int hp_start(struct hp_unit *hp)
{
	int ret;

	mutex_lock(&hp->lock);
	ret = pci_enable_device(to_pci_dev(hp->host->dev));
	if (!ret)
		hp->state = HP_RUNNING;
	mutex_unlock(&hp->lock);
	return ret;
}

static ssize_t revoke_store(struct device *dev, struct device_attribute *attr, const char *buf, size_t len)
{
	struct hp_host *host = dev_get_drvdata(dev);

	if (buf[0] == '1')
		hp_revoke_all(host);
	else
		hp_revoke_all_right(host);
	return len;
}
static DEVICE_ATTR_WO(revoke);

static ssize_t close_store(struct device *dev, struct device_attribute *attr, const char *buf, size_t len)
{
	struct hp_host *host = dev_get_drvdata(dev);
	struct hp_unit *hp = list_first_entry(&host->units, struct hp_unit, node);

	if (buf[0] == 's')
		return hp_start(hp) ?: len;
	hp_close(hp, buf[0] == 'q');
	return len;
}
static DEVICE_ATTR_WO(close);
