/* SPDX-License-Identifier: Apache-2.0 */
#include "identity.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define BY_UUID "/dev/disk/by-uuid"

/* linux/fs.h of Linux 6.9, which older headers do not have */
struct fsuuid2 {
	uint8_t len;
	uint8_t uuid[16];
};
_Static_assert(sizeof(struct fsuuid2) == 17, "as in linux/fs.h");
#define GETFSUUID _IOR(0x15, 0, struct fsuuid2)

/* Their f_fsid is made of the UUID; elsewhere it may be a device number. */
static const uint32_t fsid_is_uuid[] = {
	0xef53,     /* ext2, ext3, ext4 */
	0x9123683e, /* btrfs */
	0x2fc12fc1, /* ZFS */
};

static bool uuid_of_itself(int fd, struct sl_up_identity *id)
{
	static const uint8_t none[16]; /* what a file system made without one answers */
	struct fsuuid2 u = {0};
	char *p = id->uuid;

	if (ioctl(fd, GETFSUUID, &u) || u.len != sizeof(u.uuid) ||
	    !memcmp(u.uuid, none, sizeof(none)))
		return false;
	for (unsigned i = 0; i < sizeof(u.uuid); i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*p++ = '-';
		p += sprintf(p, "%02x", u.uuid[i]);
	}
	return true;
}

/* No blanks or control bytes: it becomes a word of a line. */
static bool word(const char *s)
{
	for (; *s; s++)
		if (*s <= ' ' || *s > '~')
			return false;
	return true;
}

static void uuid_of_device(dev_t dev, struct sl_up_identity *id)
{
	DIR *d = opendir(BY_UUID);
	struct dirent *e;
	struct stat st;

	while (d && (e = readdir(d))) {
		if (e->d_name[0] == '.' || strlen(e->d_name) >= sizeof(id->uuid) ||
		    !word(e->d_name))
			continue;
		if (fstatat(dirfd(d), e->d_name, &st, 0) || !S_ISBLK(st.st_mode) ||
		    st.st_rdev != dev)
			continue;
		strcpy(id->uuid, e->d_name);
		break;
	}
	if (d)
		closedir(d);
}

static void fsid(int fd, struct sl_up_identity *id)
{
	struct statfs fs;

	if (fstatfs(fd, &fs))
		return;
	for (size_t i = 0; i < SL_ARRAY_SIZE(fsid_is_uuid); i++)
		if ((uint32_t)fs.f_type == fsid_is_uuid[i])
			snprintf(id->fsid, sizeof(id->fsid), "%08x%08x",
				 (uint32_t)fs.f_fsid.__val[0], (uint32_t)fs.f_fsid.__val[1]);
}

int sl_up_identity_read(const char *data, struct sl_up_identity *ret_id)
{
	struct sl_up_identity id = {.uuid = "-", .fsid = "-"};
	int fd = open(data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st)) {
		int err = -errno;
		close(fd);
		return err;
	}
	id.inode = st.st_ino;
	if (!uuid_of_itself(fd, &id))
		uuid_of_device(st.st_dev, &id);
	fsid(fd, &id);
	close(fd);
	*ret_id = id;
	return 0;
}

bool sl_up_identity_same(const struct sl_up_identity *a, const struct sl_up_identity *b)
{
	if (a->inode != b->inode)
		return false;
	if (strcmp(a->uuid, "-") && strcmp(b->uuid, "-"))
		return strcmp(a->uuid, b->uuid) == 0;
	if (strcmp(a->fsid, "-") && strcmp(b->fsid, "-"))
		return strcmp(a->fsid, b->fsid) == 0;
	return true;
}
