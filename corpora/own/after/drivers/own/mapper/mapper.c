// SPDX-License-Identifier: GPL-2.0
#include <linux/dma-mapping.h>
#include <linux/fs.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <sound/pcm.h>

struct mp_dev {
	struct device *dev;
	phys_addr_t phys;
	size_t size;
	void *cpu;
	dma_addr_t dma;
	unsigned long pages;
};

static int mp_mmap_raw(struct file *file, struct vm_area_struct *vma)
{
	struct mp_dev *mp = file->private_data;
	unsigned long pfn = (mp->phys >> PAGE_SHIFT) + vma->vm_pgoff;

	vma->vm_page_prot = pgprot_noncached(vma->vm_page_prot);
	return io_remap_pfn_range(vma, vma->vm_start, pfn, vma->vm_end - vma->vm_start, vma->vm_page_prot);
}

static int mp_mmap_separate(struct file *file, struct vm_area_struct *vma)
{
	struct mp_dev *mp = file->private_data;
	unsigned long offset = vma->vm_pgoff << PAGE_SHIFT;
	unsigned long len = vma->vm_end - vma->vm_start;

	if (offset >= mp->size)
		return -EINVAL;
	if (len > mp->size)
		return -EINVAL;
	return remap_pfn_range(vma, vma->vm_start, PHYS_PFN(mp->phys + offset), len, vma->vm_page_prot);
}

static int mp_mmap_offset(struct file *file, struct vm_area_struct *vma)
{
	struct mp_dev *mp = file->private_data;

	if (vma->vm_pgoff > mp->pages) {
		dev_warn(mp->dev, "bad offset\n");
		return -ENXIO;
	}
	return remap_pfn_range(vma, vma->vm_start, PHYS_PFN(mp->phys) + vma->vm_pgoff,
			       vma_pages(vma) << PAGE_SHIFT, vma->vm_page_prot);
}

static int mp_mmap_clamp(struct file *file, struct vm_area_struct *vma)
{
	struct mp_dev *mp = file->private_data;
	size_t size = vma->vm_end - vma->vm_start;

	if (size < mp->size)
		size = mp->size;
	return remap_pfn_range(vma, vma->vm_start, mp->phys >> PAGE_SHIFT, size, vma->vm_page_prot);
}

static int mp_mmap_sum(struct file *file, struct vm_area_struct *vma)
{
	struct mp_dev *mp = file->private_data;
	unsigned long offset = vma->vm_pgoff << PAGE_SHIFT;
	unsigned long len = vma->vm_end - vma->vm_start;

	if (offset + len > PAGE_ALIGN(mp->size))
		return -EINVAL;
	return remap_pfn_range(vma, vma->vm_start, PHYS_PFN(mp->phys + offset), len, vma->vm_page_prot);
}

static bool mp_fits(struct mp_dev *mp, struct vm_area_struct *vma)
{
	return vma->vm_pgoff < mp->pages && vma_pages(vma) <= mp->pages - vma->vm_pgoff;
}

static int mp_mmap_helper(struct file *file, struct vm_area_struct *vma)
{
	struct mp_dev *mp = file->private_data;

	if (!mp_fits(mp, vma))
		return -EINVAL;
	return io_remap_pfn_range(vma, vma->vm_start, PHYS_PFN(mp->phys) + vma->vm_pgoff,
				  vma->vm_end - vma->vm_start, vma->vm_page_prot);
}

static int mp_mmap_exact(struct file *file, struct vm_area_struct *vma)
{
	struct mp_dev *mp = file->private_data;

	if (vma->vm_pgoff != 0 || vma->vm_end - vma->vm_start != mp->size)
		return -EINVAL;
	return remap_pfn_range(vma, vma->vm_start, PHYS_PFN(mp->phys), mp->size, vma->vm_page_prot);
}

static int mp_mmap_iomap(struct file *file, struct vm_area_struct *vma)
{
	struct mp_dev *mp = file->private_data;

	return vm_iomap_memory(vma, mp->phys, mp->size);
}

static int mp_pcm_mmap(struct snd_pcm_substream *substream, struct vm_area_struct *vma)
{
	struct snd_pcm_runtime *runtime = substream->runtime;
	unsigned long size = vma->vm_end - vma->vm_start;
	unsigned long offset = vma->vm_pgoff << PAGE_SHIFT;

	return remap_pfn_range(vma, vma->vm_start, (runtime->dma_addr + offset) >> PAGE_SHIFT,
			       size, vma->vm_page_prot);
}

static const struct snd_pcm_ops mp_pcm_ops = { .mmap = mp_pcm_mmap };

static vm_fault_t mp_fault(struct vm_fault *vmf)
{
	struct mp_dev *mp = vmf->vma->vm_private_data;

	if (vmf->pgoff >= mp->pages)
		return VM_FAULT_SIGBUS;
	return vmf_insert_pfn(vmf->vma, vmf->address, PHYS_PFN(mp->phys) + vmf->pgoff);
}

static vm_fault_t mp_fault_prot(struct vm_fault *vmf)
{
	struct mp_dev *mp = vmf->vma->vm_private_data;

	if (vmf->pgoff >= mp->pages)
		return VM_FAULT_SIGBUS;
	return vmf_insert_pfn_prot(vmf->vma, vmf->address, PHYS_PFN(mp->phys) + vmf->pgoff,
				   pgprot_writecombine(vmf->vma->vm_page_prot));
}

static const struct vm_operations_struct mp_vm_ops = { .fault = mp_fault };
static const struct vm_operations_struct mp_prot_ops = { .fault = mp_fault_prot };

static int mp_mmap_lazy(struct file *file, struct vm_area_struct *vma)
{
	struct mp_dev *mp = file->private_data;

	if (vma_pages(vma) + vma->vm_pgoff > mp->pages)
		return -EINVAL;
	vm_flags_set(vma, VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP);
	vma->vm_private_data = mp;
	vma->vm_ops = &mp_vm_ops;
	return 0;
}

static void mp_setup_vma(struct mp_dev *mp, struct vm_area_struct *vma)
{
	vm_flags_set(vma, VM_DONTEXPAND | VM_DONTDUMP);
	vm_flags_set(vma, VM_PFNMAP);
	vma->vm_private_data = mp;
}

static int mp_mmap_setup(struct file *file, struct vm_area_struct *vma)
{
	struct mp_dev *mp = file->private_data;

	if (!mp_fits(mp, vma))
		return -EINVAL;
	mp_setup_vma(mp, vma);
	vma->vm_ops = &mp_prot_ops;
	return 0;
}

static int mp_mmap_write(struct file *file, struct vm_area_struct *vma)
{
	struct mp_dev *mp = file->private_data;

	if (!(vma->vm_flags & VM_WRITE) || !mp_fits(mp, vma))
		return -EPERM;
	vm_flags_mod(vma, VM_IO | VM_PFNMAP | VM_DONTEXPAND, VM_MAYEXEC);
	vma->vm_private_data = mp;
	vma->vm_ops = &mp_vm_ops;
	return 0;
}

static int mp_mmap_nocow(struct file *file, struct vm_area_struct *vma)
{
	struct mp_dev *mp = file->private_data;

	if (is_cow_mapping(vma->vm_flags) || !mp_fits(mp, vma))
		return -EINVAL;
	vm_flags_set(vma, VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP);
	vma->vm_private_data = mp;
	vma->vm_ops = &mp_vm_ops;
	return 0;
}

static int mp_mmap_remap(struct file *file, struct vm_area_struct *vma)
{
	struct mp_dev *mp = file->private_data;

	if (!mp_fits(mp, vma))
		return -EINVAL;
	vm_flags_set(vma, VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP);
	return remap_pfn_range(vma, vma->vm_start, PHYS_PFN(mp->phys) + vma->vm_pgoff,
			       vma->vm_end - vma->vm_start, vma->vm_page_prot);
}

static const struct file_operations mp_fops[] = {
	{ .owner = THIS_MODULE, .mmap = mp_mmap_raw },
	{ .owner = THIS_MODULE, .mmap = mp_mmap_separate },
	{ .owner = THIS_MODULE, .mmap = mp_mmap_offset },
	{ .owner = THIS_MODULE, .mmap = mp_mmap_clamp },
	{ .owner = THIS_MODULE, .mmap = mp_mmap_sum },
	{ .owner = THIS_MODULE, .mmap = mp_mmap_helper },
	{ .owner = THIS_MODULE, .mmap = mp_mmap_exact },
	{ .owner = THIS_MODULE, .mmap = mp_mmap_iomap },
	{ .owner = THIS_MODULE, .mmap = mp_mmap_lazy },
	{ .owner = THIS_MODULE, .mmap = mp_mmap_setup },
	{ .owner = THIS_MODULE, .mmap = mp_mmap_write },
	{ .owner = THIS_MODULE, .mmap = mp_mmap_nocow },
	{ .owner = THIS_MODULE, .mmap = mp_mmap_remap },
};
