// Package proc captures and restores processes and their threads, all but
// their memory (package mem) and their descriptors (package kobj).
//
// Each file holds one part of a process, with its capture and its restore.
// Capture reads /proc and makes system calls in the stopped process that change
// nothing; restore makes system calls in a stub until it is the process.
package proc
