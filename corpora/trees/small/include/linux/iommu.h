/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef _LINUX_IOMMU_H
#define _LINUX_IOMMU_H

#include <linux/types.h>

struct iommu_domain;

#define IOMMU_READ 1
#define IOMMU_WRITE 2

int iommu_map(struct iommu_domain *domain, unsigned long iova, phys_addr_t paddr, unsigned long size, int prot,
	      unsigned int gfp);
unsigned long iommu_unmap(struct iommu_domain *domain, unsigned long iova, unsigned long size);

#endif
