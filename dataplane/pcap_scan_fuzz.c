/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pcap_scan_fuzz.c - foreign bytes as a capture file. Whatever they are, the scan ends, never
 * counts more frames than could fit, and says something when it refuses.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "pcap_scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sl_pcap_info info;
	char err[128] = "";
	int fd = memfd_create("capture", MFD_CLOEXEC);

	SL_ASSERT(fd >= 0);
	SL_ASSERT(write(fd, data, size) == (ssize_t)size);
	int rc = sl_pcap_scan(fd, &info, err, sizeof(err));
	if (rc)
		SL_ASSERT(err[0]);
	else
		SL_ASSERT(info.frames <= size / 16 && info.frame_max <= size);
	close(fd);
	return 0;
}
