// Package fuse serves files whose content comes from this process: a file system
// in user space (fuse(4)) that an ordinary user may mount in a user namespace of
// his own (Linux 4.18), if he may open /dev/fuse. It has no names but the numbers
// of its files, which can be opened by the server alone and only be read. A
// restart maps them where memory belongs that has not been read yet: unlike with
// userfaultfd(2), of which ordinary users get the faults of programs alone, the
// kernel's own accesses (read(2) into such memory) wait for the content as well.
//
// When the server ends, also by being killed, an access to what has not been read
// fails (SIGBUS, EIO or EFAULT): nobody ever sees other bytes.
package fuse
