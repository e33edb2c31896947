// Package mem captures and restores memory: what is mapped, by whom it is
// shared, and which pages have content that is nowhere else.
//
// The address space of a process is one page object, numbered by address /
// 4096, of which only private pages that were written are stored. A shared
// memory object is one page object whoever maps it, numbered by offset / 4096.
package mem

// PageSize is that of the store and of x86-64, in bytes.
const PageSize = 4096
