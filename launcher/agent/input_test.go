package agent

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestInputHeldIsWhatWasReadAndWhatIsInThePipe(t *testing.T) {
	pod, ours, err := pipe(false)
	if err != nil {
		t.Fatal(err)
	}
	defer pod.Close()
	p := &inputPipe{f: ours}
	a := &agent{programs: map[string]*program{"main": {input: p}}}
	const whole = 1 << 20
	wrote := make(chan error, 1)
	go func() {
		_, err := p.Write(make([]byte, whole)) // more than the pipe takes at once
		if err == nil {
			err = p.Close()
		}
		wrote <- err
	}()
	buf := make([]byte, 5000)
	for read := int64(0); ; {
		n, err := pod.Read(buf)
		read += int64(n)
		have, release := a.holdInputs()
		in, ioctlErr := unix.IoctlGetInt(int(pod.Fd()), unix.TIOCINQ)
		release()
		if ioctlErr != nil {
			t.Fatal(ioctlErr)
		}
		if got := have["main"].Bytes; got != read+int64(in) {
			t.Fatalf("the program was given %d bytes, and %d were read and %d are in the pipe", got, read, in)
		}
		if err != nil {
			if !have["main"].Ended || read != whole {
				t.Errorf("at the end of the input %d of %d bytes were read, and held is %+v", read, whole, have["main"])
			}
			break
		}
	}
	if err := <-wrote; err != nil {
		t.Error(err)
	}
}
