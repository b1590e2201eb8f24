/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef _LINUX_FS_H
#define _LINUX_FS_H

#include <linux/types.h>

struct address_space;
struct vm_area_struct;
struct module;

struct inode {
	struct address_space *i_mapping;
	void *i_private;
};

struct file {
	struct address_space *f_mapping;
	void *private_data;
};

struct file_operations {
	struct module *owner;
	int (*open)(struct inode *inode, struct file *file);
	int (*release)(struct inode *inode, struct file *file);
	long (*unlocked_ioctl)(struct file *file, unsigned int cmd, unsigned long arg);
	int (*mmap)(struct file *file, struct vm_area_struct *vma);
};

#define THIS_MODULE ((struct module *)0)

void unmap_mapping_range(struct address_space *mapping, u64 holebegin, u64 holelen, int even_cows);
unsigned long copy_from_user(void *to, const void *from, unsigned long n);
unsigned long copy_to_user(void *to, const void *from, unsigned long n);
void *kzalloc(unsigned long size, unsigned int flags);
void kfree(const void *p);

#define GFP_KERNEL 0xcc0

#endif
