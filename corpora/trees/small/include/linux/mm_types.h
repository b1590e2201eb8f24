/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef _LINUX_MM_TYPES_H
#define _LINUX_MM_TYPES_H

#include <linux/rwsem.h>
#include <linux/types.h>

typedef unsigned int vm_fault_t;
typedef struct { unsigned long bits; } pgprot_t;
typedef struct { unsigned long entry; } pte_t;
typedef struct { unsigned long entry; } pmd_t;
typedef struct { int held; } spinlock_t;

struct page;
struct file;
struct vm_fault;

struct mm_struct {
	struct rw_semaphore mmap_lock;
	pmd_t *directory;
};

struct vm_operations_struct {
	void (*open)(struct vm_area_struct *area);
	void (*close)(struct vm_area_struct *area);
	vm_fault_t (*fault)(struct vm_fault *vmf);
};

struct vm_area_struct {
	unsigned long vm_start;
	unsigned long vm_end;
	unsigned long vm_flags;
	unsigned long vm_pgoff;
	pgprot_t vm_page_prot;
	struct mm_struct *vm_mm;
	struct file *vm_file;
	void *vm_private_data;
	const struct vm_operations_struct *vm_ops;
};

struct vm_fault {
	struct vm_area_struct *vma;
	unsigned long address;
	pgoff_t pgoff;
};

#endif
