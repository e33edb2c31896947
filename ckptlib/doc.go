// Package ckptlib checkpoints pods and restarts them: it is what an agent does
// on its host, phase by phase, for the coordinator.
//
//	image/   what a pod is, as plain data          store/  its pages, on disk
//	pod/     namespaces and their init             tracer/ ptrace, injected calls
//	proc/    processes and threads                 mem/    mappings and pages
//	kobj/    what descriptors refer to             conn/   TCP connections of the job
//	names/   virtual addresses of moved pods       probe/  what this host allows
//
// This package puts them together: Pod for a running pod, Checkpoint from
// Suspend to Write, Restart from Begin to Resume. The order of phases, and
// that all pods are in the same one, is the caller's to keep.
//
// Between Suspend and Resume every thread of the pod is in a ptrace stop of the
// pod's one tracer thread. If the process that runs this ends meanwhile, the
// kernel lets them go.
package ckptlib
