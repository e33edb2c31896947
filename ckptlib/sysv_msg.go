package ckptlib

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
	"github.com/gompirun/gompirun/ckptlib/tracer"
)

// msgCopy is MSG_COPY of msgrcv(2): the n-th message is copied and stays.
const msgCopy = 0o40000

// msqidSize is the size of struct msqid64_ds, msqidBytes where it has msg_qbytes.
const msqidSize, msqidBytes = 120, 88

// captureQueue records a System V message queue with its messages.
func captureQueue(init *tracer.Remote, row map[string]int64) (q image.MsgQueue, err error) {
	q = image.MsgQueue{ID: int(row["msqid"]), Key: int32(row["key"]), Mode: uint32(row["perms"]) & 0o777}
	ds, err := statQueue(init, q.ID)
	if err != nil {
		return q, err
	}
	q.MaxBytes = binary.LittleEndian.Uint64(ds[msqidBytes:])
	err = withRoom(init, row["cbytes"], func(room uint64, size int64) error {
		for n := range row["qnum"] {
			got, err := init.Syscall(unix.SYS_MSGRCV, uint64(q.ID), room, uint64(size), uint64(n), msgCopy|ipcNoWait)
			if err != nil {
				return fmt.Errorf("copy message %d of %d (CONFIG_CHECKPOINT_RESTORE is needed): %w", n, row["qnum"], err)
			}
			b := make([]byte, 8+got)
			if err := tracer.ReadMemory(init.TID, tracer.Addr(room), b); err != nil {
				return err
			}
			q.Messages = append(q.Messages, image.SysMsg{Type: int64(binary.LittleEndian.Uint64(b)), Data: b[8:]})
		}
		return nil
	})
	return q, err
}

// restoreQueue fills a queue that has just been made.
func restoreQueue(init *tracer.Remote, q *image.MsgQueue) error {
	ds, err := statQueue(init, q.ID)
	if err != nil {
		return err
	}
	if have := binary.LittleEndian.Uint64(ds[msqidBytes:]); have != q.MaxBytes {
		binary.LittleEndian.PutUint64(ds[msqidBytes:], q.MaxBytes)
		addr, err := init.Put(0, ds)
		if err != nil {
			return err
		}
		if _, err := init.Syscall(unix.SYS_MSGCTL, uint64(q.ID), ipcSet, addr); err != nil {
			return fmt.Errorf("give it room for %d bytes, where this host allows %d (kernel.msgmnb): %w", q.MaxBytes, have, err)
		}
	}
	var longest int64
	for _, m := range q.Messages {
		longest = max(longest, int64(len(m.Data)))
	}
	return withRoom(init, longest, func(room uint64, _ int64) error {
		for i, m := range q.Messages {
			b := append(binary.LittleEndian.AppendUint64(nil, uint64(m.Type)), m.Data...)
			if err := tracer.WriteMemory(init.TID, tracer.Addr(room), b); err != nil {
				return err
			}
			if _, err := init.Syscall(unix.SYS_MSGSND, uint64(q.ID), room, uint64(len(m.Data)), ipcNoWait); err != nil {
				return fmt.Errorf("send message %d of %d again: %w", i, len(q.Messages), err)
			}
		}
		return nil
	})
}

// statQueue returns a queue's struct msqid64_ds.
func statQueue(init *tracer.Remote, id int) ([]byte, error) {
	if _, err := init.Syscall(unix.SYS_MSGCTL, uint64(id), ipcStat, uint64(init.Scratch())); err != nil {
		return nil, fmt.Errorf("msgctl IPC_STAT: %w", err)
	}
	ds := make([]byte, msqidSize)
	return ds, init.Get(0, ds)
}

// withRoom lends the init memory for a message of some bytes and its type: the
// limit of a message is the administrator's to set.
func withRoom(init *tracer.Remote, bytes int64, fn func(room uint64, size int64) error) (err error) {
	size := uint64(8 + bytes)
	room, err := init.Syscall(unix.SYS_MMAP, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS, ^uint64(0), 0)
	if err != nil {
		return fmt.Errorf("map room for a message of %d bytes: %w", bytes, err)
	}
	defer func() {
		_, e := init.Syscall(unix.SYS_MUNMAP, room, size)
		err = errors.Join(err, e)
	}()
	return fn(room, bytes)
}
