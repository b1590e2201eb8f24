/* SPDX-License-Identifier: GPL-2.0-or-later WITH Linux-syscall-note */
#ifndef _UAPI_LINUX_DMAMAP_H
#define _UAPI_LINUX_DMAMAP_H

/* A window of user memory that a device shall reach. */
struct dmamap_window {
	unsigned long long uaddr;
	unsigned long long iova;
	unsigned long long size;
	unsigned int access;
	unsigned int pad;
};

#define DMAMAP_ACCESS_READ 1
#define DMAMAP_ACCESS_WRITE 2

#define DMAMAP_IOC_MAP 0x4001
#define DMAMAP_IOC_UNMAP 0x4002

#endif
