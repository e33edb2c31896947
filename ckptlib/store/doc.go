// Package store keeps checkpoints on disk: memory pages, each once, in packs;
// page tables that say which page lies where; and generations, which become
// checkpoints by the rename of their manifest. docs/format.md has the bytes
// and the invariants.
//
// The package knows no kernel and no process. The JSON of a pod and the facts
// of a job pass through it as bytes.
//
// One coordinator and any number of agents open the same directory at the same
// time, on different hosts, usually over a parallel file system. Nothing here
// takes a lock between them: every file has one writer, which its name tells
// (generation, pod, sequence), and no file changes after it was named by
// another one.
//
//	coordinator                      agent of pod 1 (others do the same)
//	g := Begin()
//	          ---- checkpoint g ---->
//	                                 w := NewWriter(g, 1, index, options)
//	                                 w.AddPages(...), table.Add(...)  many goroutines
//	                                 w.Finish(), pt := table.Build(w)
//	                                 w.Sync()
//	                                 WriteImage(g, 1, "pages", pt.Encode())
//	                                 WriteImage(g, 1, "json", ...)
//	          <--- two FileInfos ----
//	Commit(g, manifest)
//
// Not guaranteed: that two pods which write the same page in the same
// generation store it once (each sees only its own pages and those of
// committed generations), that pages come to lie in any order, and that packs
// which are mostly dead shrink before the last manifest naming them goes.
package store
