// Package image holds the plain data of a checkpoint: what a pod is, apart
// from the bytes of its memory.
//
// The structs say what to rebuild and nothing of how; they touch no kernel and
// hold no pointers to one another. What is shared has an identifier: two
// descriptors of one open file description hold the same FileID, two mappings
// of one shared memory object the same SharedID. What is bulky lies in the
// store as a page object and is named here by its number (Blob, ObjectID).
//
// The encoding is JSON: ten years on, less and jq can read it. A reader ignores
// fields it does not know and refuses a Format it does not know.
package image

// Format is the newest version of the structs. A reader accepts OldestFormat to
// Format; a writer takes the lowest that says all of an image, so that a reader
// refuses only what it would restore otherwise than it was. History: 1, the
// first; 2, processes that share more than a table of descriptors or a directory
// with their parent, and threads with a table of descriptors of their own.
const (
	Format       = 2
	OldestFormat = 1
)

// FileID names an open file description within its pod. Zero is none.
type FileID int

// SharedID names a shared memory object within its pod. Zero is none.
type SharedID int

// ObjectID names a page object of the pod's page table: the address space of
// a process (page number = address / 4096), a shared memory object or a blob
// (page number = offset / 4096). Zero is none.
type ObjectID uint64

// Blob is a string of bytes that lies in the store. A blob of size 0 has no
// object.
type Blob struct {
	Object ObjectID `json:"object,omitempty"`
	Size   int64    `json:"size"`
}
