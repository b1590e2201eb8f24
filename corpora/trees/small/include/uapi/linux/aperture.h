/* SPDX-License-Identifier: GPL-2.0-or-later WITH Linux-syscall-note */
#ifndef _UAPI_LINUX_APERTURE_H
#define _UAPI_LINUX_APERTURE_H

#define APERTURE_IOC_SIZE 0x5001
#define APERTURE_IOC_RESET 0x5002

#endif
