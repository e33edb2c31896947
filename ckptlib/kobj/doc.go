// Package kobj captures and restores kernel objects that processes hold by
// descriptors, one file for each kind with both directions side by side.
//
// Capture looks from outside, while every process of the pod is stopped: it has
// a duplicate of the open file description (pidfd_getfd(2)) and may ask the
// kernel anything that changes nothing: no byte is consumed, no offset moved.
// Restore makes the description anew in the agent's own process; the agent then
// hands it to every process that shared it. What needs all descriptions, or the
// processes, to be there first (epoll registrations, queued descriptors,
// controlling terminals) is done by Settle.
//
// A kind is one row of a table: see Kind. An object that no kind matches fails
// the checkpoint with an UnsupportedError, and the job goes on.
package kobj
