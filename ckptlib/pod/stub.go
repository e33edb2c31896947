package pod

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

// Descriptors that the stub, and only the stub, has.
const (
	statusFD = 3 // a socket to the agent: exit records out, a doorbell in
	// HandFD is also what Hand needs of a process that is being rebuilt.
	HandFD = 4 // a socket by which the agent hands descriptors to new processes
	execFD = 5 // a pipe that the setup holds open until it becomes the stub
)

// stubBase is where the stub's one segment lies: the lowest address that
// vm.mmap_min_addr leaves, where programs are not.
const stubBase = 0x10000

// stubCode is the pod's init. It may have no state but its position: the agent
// stops it anywhere and makes system calls in it.
//
//	      prctl(PR_SET_NAME, "gompirun-pod")
//	loop: wait4(-1, &status, __WALL, NULL)     also twins and orphans
//	      if result < 0 goto none
//	      write(3, {pid, status}, 8)
//	      goto loop
//	none: if result != -ECHILD goto loop
//	      read(3, buf, 8)                      the doorbell: there is a child again
//	      if result != 0 goto loop
//	      exit_group(0)                        the agent has gone, and the job
var stubCode = []byte{
	0x48, 0x8d, 0x35, 0x73, 0x00, 0x00, 0x00, // lea rsi, [rip+name]
	0xbf, 0x0f, 0x00, 0x00, 0x00, // mov edi, PR_SET_NAME
	0xb8, 0x9d, 0x00, 0x00, 0x00, // mov eax, SYS_prctl
	0x0f, 0x05, // syscall
	0x48, 0x83, 0xec, 0x40, // sub rsp, 64
	// loop:
	0xc7, 0x44, 0x24, 0x04, 0x00, 0x00, 0x00, 0x00, // mov dword [rsp+4], 0
	0x45, 0x31, 0xd2, // xor r10d, r10d
	0xba, 0x00, 0x00, 0x00, 0x40, // mov edx, __WALL
	0x48, 0x8d, 0x74, 0x24, 0x04, // lea rsi, [rsp+4]
	0x48, 0xc7, 0xc7, 0xff, 0xff, 0xff, 0xff, // mov rdi, -1
	0xb8, 0x3d, 0x00, 0x00, 0x00, // mov eax, SYS_wait4
	0x0f, 0x05, // syscall
	0x85, 0xc0, // test eax, eax
	0x78, 0x19, // js none
	0x89, 0x04, 0x24, // mov [rsp], eax
	0xbf, statusFD, 0x00, 0x00, 0x00, // mov edi, statusFD
	0x48, 0x89, 0xe6, // mov rsi, rsp
	0xba, 0x08, 0x00, 0x00, 0x00, // mov edx, 8
	0xb8, 0x01, 0x00, 0x00, 0x00, // mov eax, SYS_write
	0x0f, 0x05, // syscall
	0xeb, 0xc0, // jmp loop
	// none:
	0x83, 0xf8, 0xf6, // cmp eax, -ECHILD
	0x75, 0xbb, // jne loop
	0xbf, statusFD, 0x00, 0x00, 0x00, // mov edi, statusFD
	0x48, 0x89, 0xe6, // mov rsi, rsp
	0xba, 0x08, 0x00, 0x00, 0x00, // mov edx, 8
	0x31, 0xc0, // xor eax, eax (SYS_read)
	0x0f, 0x05, // syscall
	0x85, 0xc0, // test eax, eax
	0x75, 0xa6, // jnz loop
	0x31, 0xff, // xor edi, edi
	0xb8, 0xe7, 0x00, 0x00, 0x00, // mov eax, SYS_exit_group
	0x0f, 0x05, // syscall
	// name:
	'g', 'o', 'm', 'p', 'i', 'r', 'u', 'n', '-', 'p', 'o', 'd', 0,
}

// stubELF wraps the code in the smallest executable: an ELF header and one
// segment, readable and executable, that is the whole file.
func stubELF() []byte {
	const ehSize, phSize = 64, 56
	le := binary.LittleEndian
	b := append([]byte("\x7fELF\x02\x01\x01"), make([]byte, 9)...) // 64 bits, little endian
	b = le.AppendUint16(b, 2)                                      // ET_EXEC
	b = le.AppendUint16(b, 62)                                     // EM_X86_64
	b = le.AppendUint32(b, 1)
	b = le.AppendUint64(b, stubBase+ehSize+phSize) // entry
	b = le.AppendUint64(b, ehSize)                 // program headers
	b = le.AppendUint64(b, 0)                      // section headers
	b = le.AppendUint32(b, 0)
	for _, v := range []uint16{ehSize, phSize, 1, 0, 0, 0} {
		b = le.AppendUint16(b, v)
	}
	size := uint64(ehSize + phSize + len(stubCode))
	b = le.AppendUint32(b, 1) // PT_LOAD
	b = le.AppendUint32(b, 5) // R+X
	for _, v := range []uint64{0, stubBase, stubBase, size, size, 4096} {
		b = le.AppendUint64(b, v)
	}
	return append(b, stubCode...)
}

// stubFile is the stub as a file to be executed, close-on-exec.
func stubFile() (int, error) {
	fd, err := unix.MemfdCreate("gompirun-pod", unix.MFD_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("memfd_create for the pod's init: %w", err)
	}
	if _, err := unix.Write(fd, stubELF()); err != nil {
		return -1, fmt.Errorf("write the pod's init: %w", err)
	}
	return fd, nil
}
