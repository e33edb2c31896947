// Package wire is the protocol between the coordinator of a job and its agents:
// frames on an agent's standard input and output.
//
// A frame is a header of 16 bytes and a body. Numbers are little endian.
//
//	offset bytes
//	0      4     length of the body in bytes, at most MaxBody
//	4      1     type
//	5      1     flags
//	6      2     zero
//	8      8     call
//
// Both sides may ask the other one:
//
//	agent                              coordinator
//	Hello{version, arch, ...} ------->
//	                          <------- Hello, or Goodbye with a reason
//	                          <------- Request  call 1
//	Reply or Fail, call 1     ------->
//	Request  call 1           ------->          the two sides count apart
//	                          <------- Reply or Fail, call 1
//	                          <------- Cancel   call 2: nobody waits for it
//	Event                     ------->          call 0, no answer
//	Output  stream, bytes     ------->
//	                          <------- Credit  stream, number of bytes
//	                          <------- Input   stream, bytes
//	Credit                    ------->
//
// Bodies are JSON, but those of Replies whose type has a binary form (Answer), and
// those of Input and Output: one byte with the length of the stream's name, the
// name, and the bytes as they are. A sender has Window
// bytes of each stream to spend and gets back by Credit what the other side has
// passed on, so a terminal that stands still holds up that stream only, not the
// checkpoints.
//
// Nothing else may be written to an agent's standard output; its standard error
// is its log. A connection that ends between two frames has ended in order; the
// other side has gone.
package wire

// Version is the version of this protocol. It is raised by every change after
// which the two sides could misunderstand one another. Both sides of a job are
// the same file, so a difference means that something is wrong.
//
// History: 1, the first; 2, answers may be binary.
const Version = 2
