package fuse

import (
	"encoding/binary"
	"errors"
)

// From include/uapi/linux/fuse.h: version 7.31 of the protocol (Linux 5.4), as far
// as files are opened and read. All numbers are in the order of this machine.
const (
	opLookup      = 1
	opForget      = 2
	opGetattr     = 3
	opOpen        = 14
	opRead        = 15
	opRelease     = 18
	opFlush       = 25
	opInit        = 26
	opInterrupt   = 36
	opDestroy     = 38
	opBatchForget = 42

	major, minor = 7, 31
	rootNode     = 1
	asyncRead    = 1 << 0 // FUSE_ASYNC_READ
	keepCache    = 1 << 1 // FOPEN_KEEP_CACHE

	inHeader  = 40 // bytes of struct fuse_in_header
	outHeader = 16 // of struct fuse_out_header

	// readAhead bounds what the kernel asks for at a time. It is what it asks for
	// by default.
	readAhead = 128 << 10
	// requestSize is more than any request that comes; the kernel wants room for
	// 8192 bytes at least.
	requestSize = 64 << 10

	ifDir, ifReg = 0o040000, 0o100000 // of st_mode
)

var native = binary.NativeEndian

// request is one of the kernel's.
type request struct {
	op     uint32
	unique uint64
	node   uint64
	pid    uint32
	body   []byte
}

func parseRequest(b []byte) (request, error) {
	if len(b) < inHeader || int(native.Uint32(b)) != len(b) {
		return request{}, errors.New("the kernel has sent half a request of fuse(4)")
	}
	return request{op: native.Uint32(b[4:]), unique: native.Uint64(b[8:]), node: native.Uint64(b[16:]), pid: native.Uint32(b[32:]), body: b[inHeader:]}, nil
}

// readArgs are the offset and the size that opRead asks for.
func (r *request) readArgs() (offset int64, size int, ok bool) {
	if len(r.body) < 24 {
		return 0, 0, false
	}
	return int64(native.Uint64(r.body[8:])), int(native.Uint32(r.body[16:])), true
}

// reply begins an answer of n bytes, which finish completes.
func reply(unique uint64, n int) []byte {
	b := make([]byte, outHeader, outHeader+n)
	native.PutUint64(b[8:], unique)
	return b
}

func finish(b []byte, errno int32) []byte {
	native.PutUint32(b, uint32(len(b)))
	native.PutUint32(b[4:], uint32(-errno))
	return b
}

// appendInit is struct fuse_init_out.
func appendInit(b []byte) []byte {
	b = native.AppendUint32(b, major)
	b = native.AppendUint32(b, minor)
	b = native.AppendUint32(b, readAhead)
	b = native.AppendUint32(b, asyncRead)
	b = native.AppendUint16(b, 16)   // requests in the background
	b = native.AppendUint16(b, 12)   // from which on it is congested
	b = native.AppendUint32(b, 4096) // longest write, of which there is none
	return append(b, make([]byte, 64-24)...)
}

// forever is for how many seconds the kernel may keep names and attributes.
const forever = 1 << 40

// appendEntry is struct fuse_entry_out.
func appendEntry(b []byte, node uint64) []byte {
	b = native.AppendUint64(b, node)
	b = native.AppendUint64(b, 0) // generation
	b = native.AppendUint64(b, forever)
	b = native.AppendUint64(b, forever)
	b = append(b, make([]byte, 8)...) // nanoseconds
	return appendAttr(b, node)
}

// appendAttrOut is struct fuse_attr_out.
func appendAttrOut(b []byte, node uint64) []byte {
	b = native.AppendUint64(b, forever)
	b = append(b, make([]byte, 8)...)
	return appendAttr(b, node)
}

// appendAttr is struct fuse_attr.
func appendAttr(b []byte, node uint64) []byte {
	mode, size := uint32(ifReg|0o400), uint64(Size)
	if node == rootNode {
		mode, size = ifDir|0o500, 0
	}
	b = native.AppendUint64(b, node)
	b = native.AppendUint64(b, size)
	b = append(b, make([]byte, 8+3*8+3*4)...) // blocks and times
	b = native.AppendUint32(b, mode)
	b = native.AppendUint32(b, 1)      // links
	b = append(b, make([]byte, 12)...) // owner, group and device
	b = native.AppendUint32(b, 4096)
	return native.AppendUint32(b, 0)
}

// appendOpen is struct fuse_open_out.
func appendOpen(b []byte) []byte {
	b = append(b, make([]byte, 8)...)
	b = native.AppendUint32(b, keepCache)
	return native.AppendUint32(b, 0)
}
