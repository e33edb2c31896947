package fuse

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Device is what has to be open to serve.
const Device = "/dev/fuse"

// Probe tells whether this user may serve files on this host, nil if so.
func Probe() error {
	fd, err := unix.Open(Device, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return deviceError(err)
	}
	return unix.Close(fd)
}

func deviceError(err error) error {
	err = &os.PathError{Op: "open", Path: Device, Err: err}
	switch {
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		return fmt.Errorf("%w: let its administrator give it the mode 0666, as udev does", err)
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		return fmt.Errorf("%w: let its administrator load the module fuse (CONFIG_FUSE_FS)", err)
	}
	return err
}

// Mount makes a file system that is mounted nowhere. The descriptors, of the
// device and of the root directory, are for a Server; both are close-on-exec.
//
// Preconditions: the caller is in a user namespace in which it has CAP_SYS_ADMIN;
// the server has the same user and group ids.
func Mount() (device, root int, err error) {
	// The kernel wants the device to be opened in the namespace of the mount.
	device, err = unix.Open(Device, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return -1, -1, deviceError(err)
	}
	root, err = mount(device)
	if err != nil {
		_ = unix.Close(device) // the first error tells more
		return -1, -1, fmt.Errorf("mount a file system of type fuse: %w", err)
	}
	return device, root, nil
}

func mount(device int) (root int, err error) {
	fs, err := unix.Fsopen("fuse", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, os.NewSyscallError("fsopen", err)
	}
	defer unix.Close(fs)
	for _, o := range [][2]string{
		{"fd", strconv.Itoa(device)},
		{"rootmode", "40500"},
		{"user_id", strconv.Itoa(os.Geteuid())},
		{"group_id", strconv.Itoa(os.Getegid())},
	} {
		if err := unix.FsconfigSetString(fs, o[0], o[1]); err != nil {
			return -1, os.NewSyscallError("fsconfig "+o[0], err)
		}
	}
	if err := unix.FsconfigCreate(fs); err != nil {
		return -1, os.NewSyscallError("fsconfig", err)
	}
	root, err = unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_RDONLY)
	return root, os.NewSyscallError("fsmount", err)
}
